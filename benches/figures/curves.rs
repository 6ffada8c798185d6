//! Latency distributions as JSON and as a picture: the share of requests on a scale of nines, the latency on a
//! logarithmic one.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use hdrhistogram::Histogram;
use serde_json::json;

use crate::Outcome;

/// A label and latencies in microseconds.
pub type Curve<'a> = (&'a str, &'a Histogram<u64>);

const QUANTILES: [f64; 9] = [0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.0];
const COLOURS: [&str; 4] = ["#0b6e4f", "#c1440e", "#2f4b8f", "#8a6d00"];
/// The size of the plot area, without labels.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 40.0;
/// From 0 to 99.99 %.
const NINES: f64 = 4.0;
/// From 0.1 ms to 10 s.
const DECADES: (f64, f64) = (-1.0, 4.0);

/// Writes `name.json` and `name.svg` to `folder`.
pub fn write(folder: &Path, name: &str, title: &str, curves: &[Curve<'_>]) -> Outcome<()> {
    fs::create_dir_all(folder)?;
    let all: Vec<_> = curves.iter().map(|(label, waits)| as_json(label, waits)).collect();
    let all = json!({ "title": title, "unit": "ms", "curves": all });
    fs::write(folder.join(format!("{name}.json")), serde_json::to_vec_pretty(&all)?)?;
    fs::write(folder.join(format!("{name}.svg")), picture(title, curves)?)?;
    Ok(())
}

fn as_json(label: &str, waits: &Histogram<u64>) -> serde_json::Value {
    let at = |quantile: f64| (format!("p{}", quantile * 100.0), json!(ms(waits.value_at_quantile(quantile))));
    let quantiles: serde_json::Map<_, _> = QUANTILES.into_iter().map(at).collect();
    json!({ "of": label, "requests": waits.len(), "mean": waits.mean() / 1e3, "quantiles": quantiles })
}

fn ms(micros: u64) -> f64 {
    micros as f64 / 1e3
}

fn across(nines: f64) -> f64 {
    LEFT + WIDTH * nines / NINES
}

fn down(ms: f64) -> f64 {
    let decade = ms.log10().clamp(DECADES.0, DECADES.1);
    TOP + HEIGHT * (1.0 - (decade - DECADES.0) / (DECADES.1 - DECADES.0))
}

fn picture(title: &str, curves: &[Curve<'_>]) -> Result<String, std::fmt::Error> {
    let (width, height) = (LEFT + WIDTH + 30.0, TOP + HEIGHT + 60.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{title}</text>\n"
    );
    for (nines, label) in [(0.301, "50 %"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %")] {
        let (x, bottom) = (across(nines), TOP + HEIGHT);
        writeln!(svg, "<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#ddd\"/>")?;
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", bottom + 18.0)?;
    }
    for (ms, label) in
        [(0.1, "0.1 ms"), (1.0, "1 ms"), (10.0, "10 ms"), (100.0, "100 ms"), (1e3, "1 s"), (1e4, "10 s")]
    {
        let (y, right) = (down(ms), LEFT + WIDTH);
        writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#ddd\"/>")?;
        writeln!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 6.0, y + 4.0)?;
    }
    for (place, (label, waits)) in curves.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let mut line = String::new();
        for step in 0..=200 {
            let nines = NINES * f64::from(step) / 200.0;
            let wait = ms(waits.value_at_quantile(1.0 - 10_f64.powf(-nines)).max(1));
            write!(line, "{}{:.1} {:.1}", if step == 0 { "M" } else { "L" }, across(nines), down(wait))?;
        }
        writeln!(svg, "<path d=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>")?;
        let (x, y) = (LEFT + 12.0, TOP + 18.0 + 18.0 * place as f64);
        writeln!(svg, "<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{label}</text>")?;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}
