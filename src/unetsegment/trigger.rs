//! When a microscope is to react.

use std::fmt;
use std::str::FromStr;

/// What can be compared with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Objects of a frame.
    Objects,
    /// Share of the frame that is not background, also where it is of no object that counts.
    Coverage,
    /// Objects that were not there in the frame before.
    Births,
    /// Objects that were not found any more.
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
/// `until` it ends where it does not hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trigger {
    quantity: Quantity,
    comparison: Comparison,
    level: f64,
    /// Where it ends.
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

/// What one frame holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Held {
    pub objects: usize,
    pub coverage: f64,
    pub births: usize,
    pub deaths: usize,
    pub divisions: usize,
}

/// Follows a condition from frame to frame.
#[derive(Debug, Default)]
pub struct Watch {
    /// The condition that holds, and the value that it was last compared with.
    held: Option<(Trigger, f64)>,
}

/// A condition has begun to hold, or ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    pub trigger: Trigger,
    pub active: bool,
    /// What was compared.
    pub value: f64,
}

impl Watch {
    /// What changes with a frame, in this order. A condition that held and that another one or none takes the place of
    /// ends: a program that acts upon it would wait for that forever. The other one begins as if none had held.
    pub fn see(&mut self, trigger: Option<Trigger>, frame: &Held) -> [Option<Change>; 2] {
        let gone = self.held.take_if(|(held, _)| Some(*held) != trigger);
        let gone = gone.map(|(trigger, value)| Change {
            trigger,
            active: false,
            value,
        });
        let Some(trigger) = trigger else {
            return [gone, None];
        };
        let held = self.held.is_some();
        let (active, value) = (trigger.holds(frame, held), trigger.value(frame));
        self.held = active.then_some((trigger, value));
        let change = Change {
            trigger,
            active,
            value,
        };
        [gone, (active != held).then_some(change)]
    }
}

impl Trigger {
    /// Whether the condition holds for a frame, after it `held` for the one before.
    pub fn holds(&self, frame: &Held, held: bool) -> bool {
        let value = self.value(frame);
        let level = if held { self.until } else { self.level };
        match self.comparison {
            Comparison::More => value > level,
            Comparison::AtLeast => value >= level,
            Comparison::Less => value < level,
            Comparison::AtMost => value <= level,
        }
    }

    /// Whether it is about what changes from frame to frame, which takes objects that keep their numbers.
    pub fn follows_objects(&self) -> bool {
        matches!(
            self.quantity,
            Quantity::Births | Quantity::Deaths | Quantity::Divisions
        )
    }

    /// What is compared.
    pub fn value(&self, frame: &Held) -> f64 {
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

    /// What it would never do, whatever frames come.
    fn never(&self) -> Option<&'static str> {
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
                "{text:?} is no condition ({what}): one of objects, coverage, births, deaths and divisions, then >, >=, < or <=, then a number and, where it is to end elsewhere, until and another; such as objects >= 50 until 40"
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
                .ok_or_else(|| wrong("no number"))
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
            is_share(level, comparison)?;
            is_share(until, comparison)?;
        }
        match trigger.never() {
            Some(what) => Err(wrong(what)),
            None => Ok(trigger),
        }
    }
}

/// Refuses a coverage that no frame has: most likely it is in percent, as overlays write it.
fn is_share(number: f64, comparison: Comparison) -> Result<(), String> {
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
        "{number} is no coverage to compare with: it is a share of the frame, from 0 to 1. Write {share} for {percent} %"
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
        match self.until == self.level {
            true => Ok(()),
            false => write!(f, " until {}", self.until),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(objects: usize) -> Held {
        Held {
            objects,
            ..Held::default()
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
        let frame = Held {
            coverage: 0.79,
            ..Held::default()
        };
        assert!(confluence.holds(&frame, false) && confluence.holds(&frame, true));
        assert_eq!(confluence.value(&frame), 0.79);
    }

    #[test]
    fn a_condition_that_is_changed_ends_first() {
        let [many, few] = ["objects >= 50 until 10", "objects > 30 until 20"]
            .map(|text| text.parse::<Trigger>().unwrap());
        let change = |trigger, active, value| {
            Some(Change {
                trigger,
                active,
                value,
            })
        };
        let mut watch = Watch::default();
        let mut see = |trigger, count| watch.see(trigger, &objects(count));
        assert_eq!(see(Some(many), 60), [None, change(many, true, 60.0)]);
        // The same again is no change.
        assert_eq!(see(Some(many), 25), [None, None]);
        // With 25 objects the other one would go on, but does not begin.
        assert_eq!(see(Some(few), 25), [change(many, false, 25.0), None]);
        assert_eq!(see(Some(few), 31), [None, change(few, true, 31.0)]);
        let both = [change(few, false, 31.0), change(many, true, 70.0)];
        assert_eq!(see(Some(many), 70), both);
        assert_eq!(see(None, 80), [change(many, false, 70.0), None]);
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
            ("objects > many", "no number"),
            ("objects > nan", "no number"),
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
