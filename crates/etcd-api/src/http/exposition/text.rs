//! Prometheus' text format.

use std::fmt::{Display, Write};

use decube_engine::Observed;

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// What a histogram counts in, and what it is shown in.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    /// Nanoseconds, as seconds.
    Seconds,
    /// Nanoseconds, as milliseconds.
    Milliseconds,
    /// As it is.
    One,
}

/// The text as it grows. Writing to a string cannot fail.
#[derive(Default)]
pub(super) struct Page(pub(super) String);

impl Page {
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let opening = if index == 0 { '{' } else { ',' };
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{opening}{label}=\"{text}\"");
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    pub(super) fn metric(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// A histogram without labels.
    pub(super) fn histogram(&mut self, name: &str, unit: Unit, help: &str, observed: &Observed) {
        self.family(name, Kind::Histogram, help);
        self.buckets(name, &[], unit, observed);
    }

    /// One histogram of a family.
    pub(super) fn buckets(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        unit: Unit,
        observed: &Observed,
    ) {
        let name_of_buckets = format!("{name}_bucket");
        let mut bucket = |bound: &str, count: u64| {
            self.sample(&name_of_buckets, &[labels, &[("le", bound)]].concat(), count);
        };
        let mut count = 0;
        for &(bound, more) in &observed.buckets {
            count += more;
            bucket(&bound_text(unit.show(bound)), count);
        }
        count += observed.beyond;
        bucket("+Inf", count);
        self.sample(&format!("{name}_sum"), labels, unit.show(observed.sum));
        self.sample(&format!("{name}_count"), labels, count);
    }
}

impl Unit {
    #[expect(clippy::cast_precision_loss, reason = "15 digits are enough for any sum")]
    fn show(self, number: u64) -> f64 {
        number as f64
            / match self {
                Self::Seconds => 1e9,
                Self::Milliseconds => 1e6,
                Self::One => 1.0,
            }
    }
}

/// As etcd writes it: of series with other bounds Prometheus adds nothing up.
fn bound_text(bound: f64) -> String {
    if bound < 1e6 {
        return bound.to_string();
    }
    let text = format!("{bound:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{digits}e+{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_as_etcd_writes_them() {
        let bounds = [0.0001, 0.001, 8.192, 100.0, 819_200.0, 1_048_576.0, 8_388_608.0];
        let written = bounds.map(bound_text);
        let by_etcd = ["0.0001", "0.001", "8.192", "100", "819200", "1.048576e+06", "8.388608e+06"];
        assert_eq!(written, by_etcd);
    }

    #[test]
    fn buckets_count_all_that_is_below_their_bound() {
        let mut page = Page::default();
        let observed = Observed { buckets: vec![(500, 1), (1_000, 2)], beyond: 3, sum: 2_500 };
        page.buckets("took", &[("of", "a \"b\"")], Unit::Seconds, &observed);
        let expected = r#"took_bucket{of="a \"b\"",le="0.0000005"} 1
took_bucket{of="a \"b\"",le="0.000001"} 3
took_bucket{of="a \"b\"",le="+Inf"} 6
took_sum{of="a \"b\""} 0.0000025
took_count{of="a \"b\""} 6
"#;
        assert_eq!(page.0, expected);
    }
}
