//! What ONNX Runtime can compute on.

use std::fmt;

use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};

/// An execution provider of ONNX Runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// The first of the others that the loaded runtime has and that takes the model.
    #[default]
    Auto,
    Cpu,
    Cuda,
    TensorRt,
    MiGraphX,
    OpenVino,
    CoreMl,
    DirectMl,
    WebGpu,
}

impl Provider {
    /// In which order `auto` tries them. TensorRT is left out: it spends minutes on building an
    /// engine, which is for the user to ask for.
    pub const AUTO: [Provider; 7] = [
        Provider::Cuda,
        Provider::MiGraphX,
        Provider::CoreMl,
        Provider::DirectMl,
        Provider::OpenVino,
        Provider::WebGpu,
        Provider::Cpu,
    ];

    /// The name that users write.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Auto => "auto",
            Provider::Cpu => "cpu",
            Provider::Cuda => "cuda",
            Provider::TensorRt => "tensorrt",
            Provider::MiGraphX => "migraphx",
            Provider::OpenVino => "openvino",
            Provider::CoreMl => "coreml",
            Provider::DirectMl => "directml",
            Provider::WebGpu => "webgpu",
        }
    }

    /// Whether the loaded runtime was built with it. That says nothing about the hardware.
    pub(super) fn is_built_in(self) -> bool {
        let available = match self {
            Provider::Auto | Provider::Cpu => Ok(true),
            Provider::Cuda => ep::CUDA::is_available(),
            Provider::TensorRt => ep::TensorRT::is_available(),
            Provider::MiGraphX => ep::MIGraphX::is_available(),
            Provider::OpenVino => ep::OpenVINO::is_available(),
            Provider::CoreMl => ep::CoreML::is_available(),
            Provider::DirectMl => ep::DirectML::is_available(),
            Provider::WebGpu => ep::WebGPU::is_available(),
        };
        available.unwrap_or(false)
    }

    /// How to register it on a session for the device number `device`; `None` for the CPU, which
    /// every session has. Fails loudly when the hardware or its driver is missing.
    pub(super) fn dispatch(self, device: i32) -> Option<ExecutionProviderDispatch> {
        let dispatch = match self {
            Provider::Auto | Provider::Cpu => return None,
            Provider::Cuda => ep::CUDA::default()
                .with_device_id(device)
                // The exhaustive search stalls for hundreds of ms at every new shape.
                .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
                .build(),
            Provider::TensorRt => ep::TensorRT::default().with_device_id(device).build(),
            Provider::MiGraphX => ep::MIGraphX::default().with_device_id(device).build(),
            Provider::OpenVino => ep::OpenVINO::default()
                .with_device_type(match device {
                    0 => "AUTO".to_owned(),
                    device => format!("GPU.{}", device - 1),
                })
                .build(),
            Provider::CoreMl => ep::CoreML::default().build(),
            Provider::DirectMl => ep::DirectML::default().with_device_id(device).build(),
            Provider::WebGpu => ep::WebGPU::default().with_device_id(device).build(),
        };
        Some(dispatch.error_on_failure())
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
