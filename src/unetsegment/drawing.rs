//! Draws the result over the frame: which map of values, in which colours, and with which text.

use std::time::Duration;

use super::choices::{Annotations, Classes, ColorBy};
use super::job::{ProcessError, Segmentation};
use super::objects::Objects;
use super::settings::FrameSettings;
use super::stream::Stream;
use crate::picture::annotate::{self, Canvas, Corner, ShortText};
use crate::picture::{
    self, Color, DisplayRange, FIRST_INK, Frame, FrameMut, LevelTracker, Levels, Style,
};

/// Draws overlays, and keeps its working memory.
pub struct Drawer {
    levels: LevelTracker,
    /// The map to draw, if it is not the mask itself.
    map: Vec<u8>,
}

impl Default for Drawer {
    fn default() -> Self {
        Drawer {
            levels: LevelTracker::new(DisplayRange::Auto),
            map: Vec::new(),
        }
    }
}

/// What is drawn on a frame.
pub struct Drawing<'a> {
    pub stream: &'a Stream,
    pub settings: &'a FrameSettings,
    /// The segmentation to show, if there is one.
    pub found: Option<&'a Segmentation>,
    /// Its age, and whether it is stale.
    pub age: Option<Duration>,
    pub stale: bool,
}

impl Drawer {
    /// Draws over `target` or, if there is a grey `source`, over that into `target`.
    pub fn draw(
        &mut self,
        drawing: &Drawing,
        source: Option<&Frame>,
        target: &mut FrameMut,
    ) -> Result<(), ProcessError> {
        let levels = match source {
            Some(source) => {
                let range = drawing.settings.display_range;
                if self.levels.range() != range {
                    self.levels = LevelTracker::new(range);
                }
                self.levels.levels(source)
            }
            None => Levels::IDENTITY,
        };
        let mask = drawing.found.map(|found| found.mask.map_readable());
        let mask = mask.transpose()?;
        let mask = mask.as_ref().map(|mask| mask.as_slice());
        let settings = drawing.settings;
        let selects = drawing
            .found
            .is_some_and(|found| settings.rules(&found.model.contract).filters_or_splits());
        let plain = settings.color_by == ColorBy::Class
            && !selects
            && settings.annotations.is_empty()
            && settings.show_classes == Classes::ALL;
        let map = match mask {
            Some(mask) if plain && !drawing.stale => mask,
            _ => {
                self.make_map(drawing, mask, selects)?;
                self.map.as_slice()
            }
        };
        let colors = drawing.colors();
        picture::draw(source, target, map, &colors, drawing.style(), levels)?;
        Ok(())
    }

    /// Makes the map to draw for `mask`, including the text; if the rules `selects` or split objects, with those that
    /// count. A stale mask becomes grey outlines within a striped frame; without a mask only text is shown.
    fn make_map(
        &mut self,
        drawing: &Drawing,
        mask: Option<&[u8]>,
        selects: bool,
    ) -> Result<(), ProcessError> {
        let size = drawing.stream.input.size();
        let more = size.area().saturating_sub(self.map.len());
        self.map.try_reserve_exact(more)?;
        self.map.clear();
        self.map.resize(size.area(), 0);
        let settings = drawing.settings;
        if let Some(mask) = mask {
            let objects = drawing.objects();
            let filled = objects.and_then(Objects::filled).filter(|_| selects);
            let mask = filled.filter(|_| !drawing.stale).unwrap_or(mask);
            match (drawing.stale, settings.color_by) {
                (true, _) => picture::mark_stale(mask, size.width, &mut self.map),
                (false, ColorBy::Class) => {
                    for (value, class) in self.map.iter_mut().zip(mask) {
                        *value = if settings.show_classes.contains(*class) {
                            *class
                        } else {
                            0
                        };
                    }
                    if let Some(objects) = objects.filter(|_| selects) {
                        picture::keep_objects(&mut self.map, objects.labels(), size.width);
                    }
                }
                (false, ColorBy::Object) => {
                    let labels = objects.map_or(&[][..], Objects::labels);
                    for ((value, class), label) in self.map.iter_mut().zip(mask).zip(labels) {
                        if settings.show_classes.contains(*class) {
                            *value = settings.palette.instance_value(u32::from(*label));
                        }
                    }
                }
            }
        }
        let mut canvas = Canvas {
            map: &mut self.map,
            width: size.width,
            height: size.height,
        };
        drawing.annotate(&mut canvas);
        Ok(())
    }
}

impl Drawing<'_> {
    /// The objects of the segmentation, if they were found.
    pub fn objects(&self) -> Option<&Objects> {
        self.found?.objects.as_deref()
    }

    /// The stripes around a stale mask are opaque; the rest of it is outlines.
    fn style(&self) -> Style {
        if self.stale {
            return Style {
                opacity: 1.0,
                ..Style::default()
            };
        }
        Style {
            opacity: self.settings.opacity as f32,
            thickness: self.settings.outline as usize,
        }
    }

    /// The colour of each value of the map that is not ink.
    fn colors(&self) -> [Color; FIRST_INK as usize] {
        let palette = &self.settings.palette;
        std::array::from_fn(|index| {
            let value = index as u8;
            let color = match (self.stale, self.settings.color_by) {
                (true, _) => picture::STALE_COLORS.get(index).copied(),
                (false, ColorBy::Object) => palette.of_instance(value),
                (false, ColorBy::Class) => palette.of_class(value).or_else(|| {
                    let found = self.found?;
                    found.model.colors.get(index).copied()
                }),
            };
            color.unwrap_or_else(|| picture::default_color(index))
        })
    }

    fn annotate(&self, canvas: &mut Canvas) {
        let wanted = self.settings.annotations;
        let objects = self.objects();
        if let Some(objects) = objects.filter(|_| !self.stale)
            && wanted.contains(Annotations::NUMBERS)
        {
            let shown = objects.list().iter();
            let shown = shown.filter(|object| self.settings.show_classes.contains(object.class));
            let items = shown.map(|object| (object.number, object.centroid.0, object.centroid.1));
            annotate::numbers(canvas, items);
        }
        let counted = objects.filter(|_| wanted.contains(Annotations::COUNT));
        let count = counted.map(|objects| {
            ShortText::new(format_args!(
                "{} objects, {:.1} % covered",
                objects.count(),
                100.0 * objects.coverage()
            ))
        });
        let age = wanted.contains(Annotations::AGE).then(|| match self.age {
            Some(age) => ShortText::new(format_args!("mask {:.2} s old", age.as_secs_f64())),
            None => ShortText::new(format_args!("no mask")),
        });
        match [&count, &age].map(|text| text.as_ref().map(ShortText::as_str)) {
            [Some(count), Some(age)] => annotate::lines(canvas, Corner::TopLeft, &[count, age]),
            [Some(text), None] | [None, Some(text)] => {
                annotate::line(canvas, Corner::TopLeft, text)
            }
            [None, None] => (),
        }
        let Some(found) = self.found else {
            return;
        };
        let contract = &found.model.contract;
        // A stale mask is drawn in none of these colours.
        let by_class = self.settings.color_by == ColorBy::Class && !self.stale;
        if wanted.contains(Annotations::LEGEND) && by_class {
            let classes = (1..=u8::MAX).zip(contract.classes.iter().skip(1));
            let shown = classes.filter(|(value, _)| self.settings.show_classes.contains(*value));
            let entries = shown.map(|(value, class)| (class.name.as_str(), value));
            annotate::legend(canvas, Corner::TopRight, entries);
        }
        if wanted.contains(Annotations::SCALE_BAR)
            && let Some(micrometres) = self.settings.micrometres(contract)
        {
            annotate::scale_bar(canvas, Corner::BottomRight, micrometres);
        }
    }
}
