//! The execution providers of ONNX Runtime.

use std::fmt;
use std::path::Path;

use ort::ep::{
    self, ArbitrarilyConfigurableExecutionProvider, ExecutionProvider, ExecutionProviderDispatch,
};

use super::options::Options;

/// An execution provider of ONNX Runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// The first of the others that the loaded runtime has and that accepts the model.
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
    /// A plug-in provider, from a library of its own.
    Plugin,
}

impl Provider {
    /// The order in which `auto` tries them. TensorRT is not among them: it takes minutes to build an
    /// engine, which only the user should decide.
    pub const AUTO: [Provider; 7] = [
        Provider::Cuda,
        Provider::MiGraphX,
        Provider::CoreMl,
        Provider::DirectMl,
        Provider::OpenVino,
        Provider::WebGpu,
        Provider::Cpu,
    ];

    /// The name in options and properties.
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

    /// Whether it accepts options by name.
    pub(super) fn takes_options(self) -> bool {
        !matches!(
            self,
            Provider::Cpu | Provider::MiGraphX | Provider::DirectMl
        )
    }

    /// Whether it compiles the network again for each new input shape, which may take minutes.
    pub(super) fn compiles_shapes(self) -> bool {
        matches!(
            self,
            Provider::TensorRt | Provider::MiGraphX | Provider::OpenVino | Provider::CoreMl
        )
    }

    /// Registers it on a session; `None` for the CPU, which every session has. Registration fails if the hardware or
    /// its driver is missing.
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
                // Without a device type it leaves operators without a device if there is no graphics card.
                let mut openvino = ep::OpenVINO::default().with_device_type(match device {
                    0 => "CPU".to_owned(),
                    device => format!("GPU.{}", device - 1),
                });
                if let Some(cache) = &options.cache {
                    openvino = openvino.with_cache_dir(cache.display());
                }
                if device == 0 && options.threads > 0 {
                    // It has its own threads.
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

/// TensorRT, with compiled engines kept in the cache: building one takes minutes.
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
