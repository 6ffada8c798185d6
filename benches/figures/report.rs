//! What was found, for people and as JSON.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::Outcome;
use crate::machine::{self, Machine};
use crate::webhooks::Window;

/// What a figure has to be.
#[derive(Clone, Copy)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {}", short(most)),
            Self::AtLeast(least) => format!("≥ {}", short(least)),
        }
    }
}

/// Prints each line as soon as it is known.
pub struct Report {
    machine: Machine,
    figures: Vec<Figure>,
}

struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    goal: Option<Goal>,
}

impl Report {
    pub fn new(machine: Machine) -> Self {
        machine.lines.iter().for_each(|(name, value)| println!("{name:<10} {value}"));
        println!();
        Self { machine, figures: Vec::new() }
    }

    pub fn figure(&mut self, name: &str, value: f64, unit: &'static str, goal: Goal) {
        self.add(Figure { name: name.to_owned(), value, unit, goal: Some(goal) });
    }

    /// Something that explains the figures and has no goal of its own.
    pub fn note(&mut self, name: &str, value: f64, unit: &'static str) {
        self.add(Figure { name: name.to_owned(), value, unit, goal: None });
    }

    /// Medians over the windows of one level.
    pub fn webhooks(&mut self, connections: usize, goal: f64, windows: &mut [Window]) {
        for window in &*windows {
            println!(
                "  {connections} connections: {:.0}/s of {:.0}/s, D {:.3} ms, others kept {:.2} processors busy",
                window.durable.rate(),
                window.ceiling,
                window.d_ms,
                window.others
            );
        }
        let mut median = |of: fn(&Window) -> f64| {
            windows.sort_by(|a, b| of(a).total_cmp(&of(b)));
            of(&windows[windows.len() / 2])
        };
        let name = |what: &str| format!("durable webhooks at {connections} connections, {what}");
        let notes = [
            ("a second", median(|window| window.durable.rate()), "/s"),
            ("the ceiling", median(|window| window.ceiling), "/s"),
            ("the server's processor time for one", median(|window| window.cost_us), "µs"),
            ("p50", median(|window| window.durable.wait_ms(0.5)), "ms"),
            ("p99", median(|window| window.durable.wait_ms(0.99)), "ms"),
            ("D meanwhile", median(|window| window.d_ms), "ms"),
        ];
        let ratio = median(Window::ratio);
        notes.into_iter().for_each(|(what, value, unit)| self.note(&name(what), value, unit));
        self.figure(&name("ratio to the ceiling"), ratio, "", Goal::AtLeast(goal));
    }

    /// Writes all of it as JSON into `folder`. A goal that was missed is told, not an error: the machine may be busy.
    pub fn finish(self, folder: &Path) -> Outcome<()> {
        let load_after = machine::load();
        let missed = self.figures.iter().filter(|figure| figure.met() == Some(false)).count();
        let goals = self.figures.iter().filter(|figure| figure.goal.is_some()).count();
        println!("\nload after {load_after}; {} of {goals} goals met", goals - missed);
        let figures: Vec<_> = self.figures.iter().map(Figure::json).collect();
        let machine: serde_json::Map<_, _> =
            self.machine.lines.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let path = folder.join("figures.json");
        let all = json!({ "machine": machine, "load_after": load_after, "figures": figures });
        fs::write(&path, serde_json::to_vec_pretty(&all)?)?;
        println!("written to {}", path.display());
        Ok(())
    }

    fn add(&mut self, figure: Figure) {
        let goal = figure.goal.map_or_else(String::new, |goal| goal.words());
        let met = match figure.met() {
            None => "",
            Some(true) => "met",
            Some(false) => "MISSED",
        };
        let value = format!("{} {}", short(figure.value), figure.unit);
        println!("{:<84} {value:>14}  {goal:<9} {met}", figure.name);
        self.figures.push(figure);
    }
}

impl Figure {
    fn met(&self) -> Option<bool> {
        self.goal.map(|goal| goal.is_met_by(self.value))
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "goal": self.goal.map(Goal::words),
            "met": self.met(),
        })
    }
}

/// Three digits that mean something.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        small if small >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
