//! The results: printed as they arrive, then written as JSON and as the tables of docs/PROOF.md.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::Outcome;
use crate::curves::{self, Curve};
use crate::machine::{self, Machine};

/// The goal of a figure.
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

/// Prints each line immediately.
pub struct Report {
    machine: Machine,
    /// The folder for JSON, tables and pictures.
    folder: PathBuf,
    /// The factor for the largest counts; 1 except in a quick check.
    scale: f64,
    figures: Vec<Figure>,
    not_run: Vec<(String, String)>,
}

struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    goal: Option<Goal>,
}

impl Report {
    pub fn new(machine: Machine, folder: PathBuf, scale: f64) -> Self {
        machine.lines.iter().for_each(|(name, value)| println!("{name:<10} {value}"));
        println!();
        Self { machine, folder, scale, figures: Vec::new(), not_run: Vec::new() }
    }

    /// The count for this run.
    pub fn share_of(&self, count: usize) -> usize {
        (count as f64 * self.scale).round() as usize
    }

    pub fn figure(&mut self, name: &str, value: f64, unit: &'static str, goal: Goal) {
        self.add(Figure { name: name.to_owned(), value, unit, goal: Some(goal) });
    }

    /// Records an explanatory figure without a goal.
    pub fn note(&mut self, name: &str, value: f64, unit: &'static str) {
        self.add(Figure { name: name.to_owned(), value, unit, goal: None });
    }

    /// Records what cannot be measured here.
    pub fn not_run(&mut self, name: &str, why: &str) {
        println!("NOT RUN {name}: {why}");
        self.not_run.push((name.to_owned(), why.to_owned()));
    }

    /// Writes latency distributions as a picture and as JSON.
    pub fn curves(&self, name: &str, title: &str, curves: &[Curve<'_>]) -> Outcome<()> {
        curves::write(&self.folder, name, title, curves)
    }

    /// A missed goal is reported but not an error, because the machine may be busy.
    pub fn finish(self) -> Outcome<()> {
        fs::create_dir_all(&self.folder)?;
        let load_after = machine::load();
        let missed = self.figures.iter().filter(|figure| figure.met() == Some(false)).count();
        let goals = self.figures.iter().filter(|figure| figure.goal.is_some()).count();
        println!("\nload after {load_after}; {} of {goals} goals met", goals - missed);
        let figures: Vec<_> = self.figures.iter().map(Figure::json).collect();
        let machine: serde_json::Map<_, _> =
            self.machine.lines.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let not_run: serde_json::Map<_, _> =
            self.not_run.iter().map(|(name, why)| (name.clone(), json!(why))).collect();
        let all =
            json!({ "machine": machine, "load_after": load_after, "figures": figures, "not_run": not_run });
        fs::write(self.folder.join("figures.json"), serde_json::to_vec_pretty(&all)?)?;
        fs::write(self.folder.join("figures.md"), self.tables(&load_after)?)?;
        println!("written to {}", self.folder.display());
        Ok(())
    }

    /// The tables of docs/PROOF.md.
    fn tables(&self, load_after: &str) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let machine: Vec<_> =
            self.machine.lines.iter().map(|(name, value)| format!("{name} {value}")).collect();
        writeln!(text, "{}; load after {load_after}.\n", machine.join("; "))?;
        writeln!(text, "| what | goal | measured | met |\n|---|---|---|---|")?;
        for figure in &self.figures {
            let (Some(goal), Some(met)) = (figure.goal, figure.met()) else { continue };
            let met = if met { "yes" } else { "**no**" };
            writeln!(text, "| {} | {} | {} | {met} |", figure.name, goal.words(), figure.words())?;
        }
        for (name, why) in &self.not_run {
            writeln!(text, "| {name} | – | not run: {why} | – |")?;
        }
        writeln!(text, "\n| beside them | |\n|---|---|")?;
        for figure in self.figures.iter().filter(|figure| figure.goal.is_none()) {
            writeln!(text, "| {} | {} |", figure.name, figure.words())?;
        }
        Ok(text)
    }

    fn add(&mut self, figure: Figure) {
        let goal = figure.goal.map_or_else(String::new, |goal| goal.words());
        let met = match figure.met() {
            None => "",
            Some(true) => "met",
            Some(false) => "MISSED",
        };
        println!("{:<96} {:>14}  {goal:<9} {met}", figure.name, figure.words());
        self.figures.push(figure);
    }
}

impl Figure {
    fn met(&self) -> Option<bool> {
        self.goal.map(|goal| goal.is_met_by(self.value))
    }

    fn words(&self) -> String {
        format!("{} {}", short(self.value), self.unit).trim_end().to_owned()
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

/// Three significant digits, with large numbers in groups.
fn short(value: f64) -> String {
    match value.abs() {
        thousands if thousands >= 1_000.0 => {
            let (whole, rest) = ((value / 1_000.0).trunc(), (value % 1_000.0).abs());
            if rest.round() >= 1_000.0 {
                format!("{},000", whole + 1.0)
            } else {
                format!("{whole},{rest:03.0}")
            }
        }
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        small if small >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
