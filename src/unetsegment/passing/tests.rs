use super::*;

#[test]
fn a_panic_in_a_stage_is_an_error_of_the_element() {
    gst::init().unwrap();
    let element = glib::Object::new::<crate::unetsegment::UNetSegment>();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let stages = ElementStages(element.downgrade());
    assert_eq!(stages.on_element(|_| Ok(1)), Ok(1));
    let panicking = stages.on_element(|_| -> Result<(), _> { panic!("a test") });
    assert_eq!(panicking, Err(gst::FlowError::Error));
    let message = bus.pop_filtered(&[gst::MessageType::Error]).unwrap();
    assert_eq!(message.src(), Some(element.upcast_ref()));
    // No stage sees what the panic has left behind.
    let later = stages.on_element(|_| -> Result<(), _> { panic!("it runs again") });
    assert_eq!(later, Err(gst::FlowError::Error));
    // Messages refer to it.
    bus.set_flushing(true);
    drop((element, message));
    let gone = stages.on_element(|_| Ok(1));
    assert_eq!(gone, Err(gst::FlowError::Flushing));
}
