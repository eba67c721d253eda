use super::*;
use crate::unetsegment;
use crate::unetsegment::settings::ModelSettings;

/// Opens the model in the file `path` for `element`.
fn opening(element: &unetsegment::UNetSegment, path: &str) -> Opening {
    let settings = ModelSettings {
        model_file: Some(path.into()),
        ..ModelSettings::default()
    };
    let opening = Opening::new(element.imp(), &settings);
    opening.map_err(|(_, reason)| reason).unwrap()
}

#[test]
fn no_other_model_comes_before_that_of_the_start() {
    gst::init().unwrap();
    let element: unetsegment::UNetSegment = glib::Object::new();
    let opening = |path| opening(&element, path);
    let loader = Loader::default();
    loader.begin();
    let generation = lock(&loader.wanted).generation;
    // It is requested while the element starts, before the start has requested its own model.
    lock(&loader.wanted).next = Some(opening("other.onnx"));
    assert!(loader.take(generation).is_none());
    lock(&loader.wanted).of_start = Some(opening("first.onnx"));
    let first = loader.take(generation);
    assert!(
        matches!(first, Some(Request::OfStart(opening)) if opening.path.ends_with("first.onnx"))
    );
    loader.finish_first(generation, Ok(()));
    let next = loader.take(generation);
    assert!(matches!(next, Some(Request::Next(opening)) if opening.path.ends_with("other.onnx")));
    assert!(loader.take(generation).is_none());
}

/// A thread that sets a model may be overtaken by a stop, once it has seen that the element runs.
#[test]
fn nothing_is_loaded_for_an_element_that_was_stopped_meanwhile() {
    gst::init().unwrap();
    let element: unetsegment::UNetSegment = glib::Object::new();
    let (imp, loader) = (element.imp(), &element.imp().loader);
    let other = || (loader.next_number(), opening(&element, "other.onnx"));
    let asked_for = || {
        let wanted = lock(&loader.wanted);
        wanted.loading || wanted.next.is_some()
    };
    loader.begin();
    let generation = loader.generation().unwrap();
    loader.reset();
    assert_eq!(loader.generation(), None);
    loader.load_next(imp, other(), generation);
    assert!(!asked_for());
    // Nor for another start.
    loader.begin();
    loader.load_next(imp, other(), generation);
    assert!(!asked_for());
    loader.load_next(imp, other(), loader.generation().unwrap());
    assert!(asked_for());
}

/// The model that the property names is loaded, whichever of two threads that set it makes its request first.
#[test]
fn the_model_that_was_set_last_is_loaded() {
    gst::init().unwrap();
    let element: unetsegment::UNetSegment = glib::Object::new();
    let loader = &element.imp().loader;
    loader.begin();
    let generation = loader.generation().unwrap();
    let [first, last] =
        ["first.onnx", "last.onnx"].map(|path| (loader.next_number(), opening(&element, path)));
    let load = |request| loader.load_next(element.imp(), request, generation);
    assert!(load(last).is_none());
    let is = |opening: Option<Opening>, path: &str| {
        opening.is_some_and(|opening| opening.path.ends_with(path))
    };
    assert!(is(load(first), "first.onnx"));
    assert!(is(lock(&loader.wanted).next.take(), "last.onnx"));
}

#[test]
fn nobody_waits_for_a_model_whose_loading_has_ended_in_a_panic() {
    let loader = Loader::default();
    lock(&loader.wanted).first = FirstModel::Loading { awaited: false };
    // Of another generation.
    loader.on_panicked(7);
    assert!(matches!(
        lock(&loader.wanted).first,
        FirstModel::Loading { .. }
    ));
    loader.on_panicked(0);
    assert_eq!(loader.wait(), Waited::Missing);
}
