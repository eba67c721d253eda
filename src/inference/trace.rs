//! Running a graph to see all that it computes on the way.

use ort::session::Session;
use ort::value::Tensor;

use super::library::{self, LibraryError, Search};

/// Why a graph can't be run.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// There is no ONNX Runtime.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// ONNX Runtime refuses.
    #[error("ONNX Runtime can't run this graph: {0}")]
    Run(#[from] ort::Error),
}

/// A graph with a picture as its input and any number of outputs, on the processor.
pub struct Trace {
    session: Session,
}

impl Trace {
    /// Opens the model whose file holds `bytes`.
    pub fn open(bytes: &[u8], library: &Search) -> Result<Self, TraceError> {
        let environment = library::environment(library)?;
        let session = Session::builder(&environment)?.commit_from_memory(bytes)?;
        Ok(Trace { session })
    }

    /// Runs the graph on `picture`, \[channels\]\[height\]\[width\] of `shape`, and shows each of its outputs
    /// of floats, by name, to `see`.
    pub fn run(
        &mut self,
        picture: &[f32],
        [channels, height, width]: [usize; 3],
        mut see: impl FnMut(&str, &[f32]),
    ) -> Result<(), TraceError> {
        let input = Tensor::from_array(([1, channels, height, width], picture.to_vec()))?;
        let outputs = self.session.run(ort::inputs![input])?;
        for (name, value) in outputs.iter() {
            see(name, value.try_extract_tensor::<f32>()?.1);
        }
        Ok(())
    }
}
