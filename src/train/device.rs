//! The device that a network is trained on.

use burn::tensor::Device;

/// The kind of device to train on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceKind {
    /// A graphics card that this program can use, by CUDA or else by wgpu; without one the CPU
    Auto,
    /// All cores of the CPU
    #[default]
    Cpu,
    /// An NVIDIA graphics card; needs a program built with the feature `cuda`
    Cuda,
    /// A graphics card by Vulkan, Metal or DirectX 12; needs a program built with the feature `wgpu`
    Wgpu,
}

/// A device that was found.
#[derive(Clone, Debug)]
pub struct FoundDevice {
    /// The device.
    pub device: Device,
    /// Its description.
    pub name: String,
}

/// Why the device can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without support for it.
    #[error(
        "this unet-train was built without {0}: build it with `cargo build --release --no-default-features --features train,{0} --bin unet-train`, or use `--device cpu`"
    )]
    NotBuilt(&'static str),
    /// There is no such device.
    #[error("no device was found that {0} can use: check its driver, or use `--device cpu`")]
    NotFound(&'static str),
}

impl DeviceKind {
    /// Finds the device.
    pub fn find(self) -> Result<FoundDevice, DeviceError> {
        match self {
            DeviceKind::Auto => Ok(card().unwrap_or_else(cpu)),
            DeviceKind::Cpu => Ok(cpu()),
            DeviceKind::Cuda => first(cuda()?).ok_or(DeviceError::NotFound("cuda")),
            DeviceKind::Wgpu => first(wgpu()?).ok_or(DeviceError::NotFound("wgpu")),
        }
    }
}

fn cpu() -> FoundDevice {
    let cores = match rayon::current_num_threads() {
        1 => "1 core".to_owned(),
        cores => format!("{cores} cores"),
    };
    FoundDevice {
        device: Device::flex(),
        name: format!("the CPU, {cores}"),
    }
}

/// A real card, not a software renderer: that would be slower than the CPU.
fn card() -> Option<FoundDevice> {
    let devices = [cuda(), wgpu()].into_iter().flatten().flatten();
    let mut cards = devices.filter(is_card);
    cards.next().map(named)
}

fn first(devices: Vec<Device>) -> Option<FoundDevice> {
    devices.into_iter().next().map(named)
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Vec<Device>, DeviceError> {
    Ok(Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec())
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Vec<Device>, DeviceError> {
    Err(DeviceError::NotBuilt("cuda"))
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<Vec<Device>, DeviceError> {
    Ok(Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec())
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Result<Vec<Device>, DeviceError> {
    Err(DeviceError::NotBuilt("wgpu"))
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn is_card(device: &Device) -> bool {
    let identity = device.identity();
    identity.is_some_and(|identity| identity.physical.is_some())
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn named(device: Device) -> FoundDevice {
    let name = match device.identity() {
        Some(identity) => format!("{} ({})", identity.name, identity.fingerprint),
        None => format!("{device:?}"),
    };
    FoundDevice { device, name }
}

#[cfg(not(any(feature = "cuda", feature = "wgpu")))]
fn is_card(_: &Device) -> bool {
    false
}

#[cfg(not(any(feature = "cuda", feature = "wgpu")))]
fn named(device: Device) -> FoundDevice {
    let name = format!("{device:?}");
    FoundDevice { device, name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_a_cpu() {
        assert_eq!(DeviceKind::Cpu.find().unwrap().device, Device::flex());
        DeviceKind::Auto.find().unwrap();
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_missing_feature_is_reported_with_how_to_build_it() {
        let error = DeviceKind::Cuda.find().unwrap_err();
        assert!(error.to_string().contains("--features train,cuda"));
    }

    /// What `--device wgpu` does, on any adapter, even a software one; Debian's `mesa-vulkan-drivers` has one.
    #[test]
    #[cfg(feature = "wgpu")]
    fn an_adapter_gives_the_same_scores_as_the_cpu() {
        use rand::rngs::StdRng;
        use rand::{Rng, SeedableRng};

        use crate::train::cpu::InputBatch;
        use crate::train::network::Scorer;
        use crate::train::weights::initial;
        use crate::unet::UNet;

        let Ok(FoundDevice { device, name }) = DeviceKind::Wgpu.find() else {
            eprintln!("Skipped: there is no Vulkan adapter here.");
            return;
        };
        let unet = UNet {
            channels: 1,
            classes: 2,
            width: 4,
            depth: 2,
            padded: false,
        };
        let rng = &mut StdRng::seed_from_u64(1);
        let values = initial(&unet, rng);
        let (height, width) = unet.geometry().legal(1, 1).unwrap();
        let numbers: Vec<f32> = (0..height * width)
            .map(|_| rng.random_range(-1.0..1.0))
            .collect();
        let [expected, found] = [Device::flex(), device].map(|device| {
            Scorer::new(unet, values.clone(), &device).scores(InputBatch {
                numbers: &numbers,
                batch: 1,
                size: (height, width),
            })
        });
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-4,
                "{name}: {found} for {expected}"
            );
        }
    }
}
