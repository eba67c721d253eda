//! Conditions on which a microscope reacts.

use std::fmt;
use std::str::FromStr;

/// A quantity of a frame that can be compared with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Number of objects.
    Objects,
    /// Share of the frame that is not background, even if it belongs to no object that counts.
    Coverage,
    /// Objects that were not in the frame before.
    Births,
    /// Objects that were in the frame before and are gone.
    Deaths,
    /// Objects that have divided.
    Divisions,
}

const NAMES: [(Quantity, &str); 5] = [
    (Quantity::Objects, "objects"),
    (Quantity::Coverage, "coverage"),
    (Quantity::Births, "births"),
    (Quantity::Deaths, "deaths"),
    (Quantity::Divisions, "divisions"),
];

/// A condition with hysteresis: `objects >= 50 until 40` begins to hold at 50 objects and ends below 40. Without
/// `until` it ends as soon as it does not hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trigger {
    quantity: Quantity,
    comparison: Comparison,
    level: f64,
    /// The level at which it ends.
    until: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    More,
    AtLeast,
    Less,
    AtMost,
}

const COMPARISONS: [(Comparison, &str); 4] = [
    (Comparison::AtLeast, ">="),
    (Comparison::AtMost, "<="),
    (Comparison::More, ">"),
    (Comparison::Less, "<"),
];

/// The quantities of one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quantities {
    pub objects: usize,
    pub coverage: f64,
    pub births: usize,
    pub deaths: usize,
    pub divisions: usize,
}

/// Evaluates a condition from frame to frame.
#[derive(Debug, Default)]
pub struct TriggerWatch {
    /// The condition, while it holds, and the last value of its quantity.
    holding: Option<(Trigger, f64)>,
}

/// A condition that has begun or ceased to hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TriggerEvent {
    pub trigger: Trigger,
    pub active: bool,
    /// The value of its quantity.
    pub value: f64,
}

impl TriggerWatch {
    /// Events of a frame, in their order. If a condition holds and is replaced or removed, it ends: an application
    /// that acts on it would wait for the end forever. The new one starts as not holding.
    pub fn update(
        &mut self,
        trigger: Option<Trigger>,
        frame: &Quantities,
    ) -> [Option<TriggerEvent>; 2] {
        let replaced = self.holding.take_if(|(held, _)| Some(*held) != trigger);
        let ended = replaced.map(|(trigger, value)| TriggerEvent {
            trigger,
            active: false,
            value,
        });
        let Some(trigger) = trigger else {
            return [ended, None];
        };
        let held = self.holding.is_some();
        let (active, value) = (trigger.holds(frame, held), trigger.value(frame));
        self.holding = active.then_some((trigger, value));
        let event = TriggerEvent {
            trigger,
            active,
            value,
        };
        [ended, (active != held).then_some(event)]
    }
}

impl Trigger {
    /// Whether the condition holds for a frame, given whether it `held` for the one before.
    pub fn holds(&self, frame: &Quantities, held: bool) -> bool {
        let value = self.value(frame);
        let level = if held { self.until } else { self.level };
        match self.comparison {
            Comparison::More => value > level,
            Comparison::AtLeast => value >= level,
            Comparison::Less => value < level,
            Comparison::AtMost => value <= level,
        }
    }

    /// Whether its quantity is a change from frame to frame, which needs objects that keep their numbers.
    pub fn needs_tracking(&self) -> bool {
        matches!(
            self.quantity,
            Quantity::Births | Quantity::Deaths | Quantity::Divisions
        )
    }

    /// The value of its quantity.
    pub fn value(&self, frame: &Quantities) -> f64 {
        match self.quantity {
            Quantity::Objects => frame.objects as f64,
            Quantity::Coverage => frame.coverage,
            Quantity::Births => frame.births as f64,
            Quantity::Deaths => frame.deaths as f64,
            Quantity::Divisions => frame.divisions as f64,
        }
    }

    /// Whether it would end before it begins.
    fn is_reversed(&self) -> bool {
        match self.comparison {
            Comparison::More | Comparison::AtLeast => self.until > self.level,
            Comparison::Less | Comparison::AtMost => self.until < self.level,
        }
    }

    /// Why it could never begin or never end, if so.
    fn impossibility(&self) -> Option<&'static str> {
        let most = match self.quantity {
            Quantity::Coverage => 1.0,
            _ => f64::INFINITY,
        };
        let (level, until) = (self.level, self.until);
        let (begins, ends) = match self.comparison {
            Comparison::More => (level < most, until >= 0.0),
            Comparison::AtLeast => (level <= most, until > 0.0),
            Comparison::Less => (level > 0.0, until <= most),
            Comparison::AtMost => (level >= 0.0, until < most),
        };
        match (begins, ends) {
            (false, _) => Some("it would never begin"),
            (true, false) => Some("it would never end"),
            (true, true) => None,
        }
    }
}

impl FromStr for Trigger {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!(
                "{text:?} is not a condition ({what}): write objects, coverage, births, deaths or divisions, then >, >=, < or <=, then a number and, if the condition is to end at another one, until and that number, such as objects >= 50 until 40"
            )
        };
        let at = text
            .find(['<', '>'])
            .ok_or_else(|| wrong("it has no <, <=, > or >="))?;
        let (name, rest) = text.split_at(at);
        let (quantity, _) = NAMES
            .into_iter()
            .find(|(_, known)| *known == name.trim())
            .ok_or_else(|| wrong("unknown quantity"))?;
        let (comparison, sign) = COMPARISONS
            .into_iter()
            .find(|(_, sign)| rest.starts_with(sign))
            .ok_or_else(|| wrong("no comparison"))?;
        let number = |text: &str| {
            let number = text.trim().parse().ok();
            number
                .filter(|n: &f64| n.is_finite())
                .ok_or_else(|| wrong("not a number"))
        };
        let (level, until) = match rest[sign.len()..].split_once("until") {
            Some((level, until)) => (number(level)?, number(until)?),
            None => {
                let level = number(&rest[sign.len()..])?;
                (level, level)
            }
        };
        let trigger = Trigger {
            quantity,
            comparison,
            level,
            until,
        };
        if trigger.is_reversed() {
            return Err(wrong("it would end before it begins"));
        }
        if quantity == Quantity::Coverage {
            check_share(level, comparison)?;
            check_share(until, comparison)?;
        }
        match trigger.impossibility() {
            Some(reason) => Err(wrong(reason)),
            None => Ok(trigger),
        }
    }
}

/// Refuses a coverage that no frame can have: most likely it is in percent, as overlays show it.
fn check_share(number: f64, comparison: Comparison) -> Result<(), String> {
    let possible = match comparison {
        Comparison::More => (0.0..1.0).contains(&number),
        Comparison::Less => number > 0.0 && number <= 1.0,
        Comparison::AtLeast | Comparison::AtMost => (0.0..=1.0).contains(&number),
    };
    if possible {
        return Ok(());
    }
    let percent = if number > 0.0 && number <= 100.0 {
        number
    } else {
        80.0
    };
    let share = percent / 100.0;
    Err(format!(
        "{number} is not a possible coverage: it is a share of the frame, from 0 to 1. Write {share} for {percent} %"
    ))
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES
            .iter()
            .find(|(quantity, _)| *quantity == self.quantity);
        let sign = COMPARISONS
            .iter()
            .find(|(comparison, _)| *comparison == self.comparison);
        let (name, sign) = (name.map_or("", |n| n.1), sign.map_or("", |s| s.1));
        write!(f, "{name} {sign} {}", self.level)?;
        if self.until == self.level {
            return Ok(());
        }
        write!(f, " until {}", self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(objects: usize) -> Quantities {
        Quantities {
            objects,
            ..Quantities::default()
        }
    }

    #[test]
    fn it_holds_until_it_ends() {
        let trigger: Trigger = "objects >= 50 until 40".parse().unwrap();
        let mut held = false;
        let states: Vec<_> = [10, 49, 50, 45, 40, 39, 45, 60]
            .map(|count| {
                held = trigger.holds(&objects(count), held);
                held
            })
            .to_vec();
        assert_eq!(states, [false, false, true, true, true, false, false, true]);
        let confluence: Trigger = "coverage<0.8".parse().unwrap();
        let frame = Quantities {
            coverage: 0.79,
            ..Quantities::default()
        };
        assert!(confluence.holds(&frame, false) && confluence.holds(&frame, true));
        assert_eq!(confluence.value(&frame), 0.79);
    }

    #[test]
    fn a_condition_that_is_replaced_ends_first() {
        let [many, few] = ["objects >= 50 until 10", "objects > 30 until 20"]
            .map(|text| text.parse::<Trigger>().unwrap());
        let event = |trigger, active, value| {
            Some(TriggerEvent {
                trigger,
                active,
                value,
            })
        };
        let mut watch = TriggerWatch::default();
        let mut see = |trigger, count| watch.update(trigger, &objects(count));
        assert_eq!(see(Some(many), 60), [None, event(many, true, 60.0)]);
        // The same again is no event.
        assert_eq!(see(Some(many), 25), [None, None]);
        // With 25 objects the new one would continue to hold, but does not begin.
        assert_eq!(see(Some(few), 25), [event(many, false, 25.0), None]);
        assert_eq!(see(Some(few), 31), [None, event(few, true, 31.0)]);
        let both = [event(few, false, 31.0), event(many, true, 70.0)];
        assert_eq!(see(Some(many), 70), both);
        assert_eq!(see(None, 80), [event(many, false, 70.0), None]);
        assert_eq!(see(None, 80), [None, None]);
    }

    #[test]
    fn it_is_read_as_it_is_written() {
        for text in [
            "objects >= 50 until 40",
            "coverage > 0.8",
            "divisions > 0",
            "births <= 3 until 4",
        ] {
            assert_eq!(text.parse::<Trigger>().unwrap().to_string(), text);
        }
        for (text, what) in [
            ("objects 5", "it has no <"),
            ("cells > 5", "unknown quantity"),
            ("objects > many", "not a number"),
            ("objects > nan", "not a number"),
            ("objects > 5 until 6", "before it begins"),
            ("objects < 5 until 4", "before it begins"),
            ("coverage > 80", "Write 0.8 for 80 %"),
            ("coverage >= 0.9 until -1", "from 0 to 1"),
            ("coverage < 0.5 until 60", "Write 0.6 for 60 %"),
            ("coverage > 1", "Write 0.01 for 1 %"),
            ("coverage > 200", "Write 0.8 for 80 %"),
            ("objects >= 50 until 0", "never end"),
            ("coverage <= 0.2 until 1", "never end"),
            ("births < 0", "never begin"),
        ] {
            let error = text.parse::<Trigger>().unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
