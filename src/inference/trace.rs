//! Running a graph with any number of outputs, such as one that also gives its inner feature maps.

use std::path::{Path, PathBuf};

use ort::session::Session;
use ort::value::Tensor;
use prost::Message;

use super::error::{ModelError, run_error};
use super::file::ModelFile;
use super::options::Options;
use super::{library, session};
use crate::onnx;

/// A graph whose input is a picture, in a session like that of a [`Model`](super::Model).
pub struct Trace {
    path: PathBuf,
    session: Session,
}

impl Trace {
    /// Opens `model`, a variant of the one in the file `path`, which errors name.
    pub fn open(path: &Path, model: onnx::Model, options: &Options) -> Result<Self, ModelError> {
        let environment = library::environment(&options.library)?;
        let file = ModelFile {
            bytes: model.encode_to_vec().into(),
            model,
            external: Vec::new(),
            hash: [0; 32],
            description: None,
        };
        let started = session::start(path, &file, &environment, options)?;
        Ok(Trace {
            path: path.to_owned(),
            session: started.session,
        })
    }

    /// Runs the graph on `picture`, \[channels\]\[height\]\[width\] of `shape`, and passes each of its outputs
    /// of floats, by name, to `see`.
    pub fn run(
        &mut self,
        picture: &[f32],
        [channels, height, width]: [usize; 3],
        mut see: impl FnMut(&str, &[f32]),
    ) -> Result<(), ModelError> {
        let failed = |error: ort::Error| run_error(&self.path, &error);
        let shape = [1, channels, height, width];
        let input = Tensor::from_array((shape, picture.to_vec())).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![input]).map_err(failed)?;
        for (name, value) in outputs.iter() {
            see(name, value.try_extract_tensor::<f32>().map_err(failed)?.1);
        }
        Ok(())
    }
}
