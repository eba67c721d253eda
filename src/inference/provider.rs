//! What ONNX Runtime can compute on.

use std::fmt;

use std::path::Path;

use ort::ep::{
    self, ArbitrarilyConfigurableExecutionProvider, ExecutionProvider, ExecutionProviderDispatch,
};

use super::options::Options;

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
    /// One that a library of its own brings.
    Plugin,
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
            Provider::Plugin => "plugin",
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
            Provider::Plugin => Ok(false),
        };
        available.unwrap_or(false)
    }

    /// Whether it can be given options by name.
    pub(super) fn takes_options(self) -> bool {
        !matches!(
            self,
            Provider::Cpu | Provider::MiGraphX | Provider::DirectMl
        )
    }

    /// Whether it compiles the network anew for each shape that it is shown, which may take minutes.
    pub(super) fn compiles_shapes(self) -> bool {
        matches!(
            self,
            Provider::TensorRt | Provider::MiGraphX | Provider::OpenVino | Provider::CoreMl
        )
    }

    /// How to register it on a session; `None` for the CPU, which every session has. Fails loudly when the
    /// hardware or its driver is missing.
    pub(super) fn dispatch(self, options: &Options) -> Option<ExecutionProviderDispatch> {
        let device = options.device;
        let dispatch = match self {
            Provider::Auto | Provider::Cpu | Provider::Plugin => return None,
            Provider::Cuda => {
                let cuda = ep::CUDA::default()
                    .with_device_id(device)
                    // The exhaustive search stalls for hundreds of ms at every new shape.
                    .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic);
                configured(cuda, options).build()
            }
            Provider::TensorRt => configured(tensor_rt(options), options).build(),
            Provider::MiGraphX => ep::MIGraphX::default().with_device_id(device).build(),
            Provider::OpenVino => {
                // Its own choice of a device leaves operators without any where there is no graphics card.
                let mut openvino = ep::OpenVINO::default().with_device_type(match device {
                    0 => "CPU".to_owned(),
                    device => format!("GPU.{}", device - 1),
                });
                if let Some(cache) = &options.cache {
                    openvino = openvino.with_cache_dir(cache.display());
                }
                if device == 0 && options.threads > 0 {
                    // It has threads of its own.
                    openvino = openvino.with_num_threads(options.threads);
                }
                configured(openvino, options).build()
            }
            Provider::CoreMl => configured(ep::CoreML::default(), options).build(),
            Provider::DirectMl => ep::DirectML::default().with_device_id(device).build(),
            Provider::WebGpu => {
                configured(ep::WebGPU::default().with_device_id(device), options).build()
            }
        };
        Some(dispatch.error_on_failure())
    }
}

/// With what is compiled kept in the cache: building an engine takes minutes.
fn tensor_rt(options: &Options) -> ep::TensorRT {
    let tensor_rt = ep::TensorRT::default().with_device_id(options.device);
    let Some(cache) = options.cache.as_deref().map(Path::display) else {
        return tensor_rt;
    };
    tensor_rt
        .with_engine_cache(true)
        .with_engine_cache_path(&cache)
        .with_timing_cache(true)
        .with_timing_cache_path(&cache)
}

/// The user's own options come last, so that they override those of this project.
fn configured<P: ArbitrarilyConfigurableExecutionProvider>(provider: P, options: &Options) -> P {
    let own = options.provider_options.iter();
    own.fold(provider, |provider, (key, value)| {
        provider.with_arbitrary_config(key, value)
    })
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
