//! The figures as a table, on the terminal and as a page.

use std::fmt::Write;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use crate::burst::{Bare, Burst};
use crate::huge::Huge;
use crate::latency::{Latency, percentile};
use crate::rest::{Rest, Restart};
use crate::{Result, Sizes};

pub struct Report {
    pub sizes: Sizes,
    pub binary: u64,
    pub installed: Duration,
    pub at_one: Latency,
    pub at_many: Latency,
    pub huge: Huge,
    /// The process that saw all of it come.
    pub grown: Rest,
    pub restart: Restart,
    pub restarted: Rest,
    pub lists: Duration,
    pub ours: Burst,
    /// Before and after.
    pub bare: [Bare; 2],
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn mebibytes(size: f64) -> String {
    format!("{size:.0} MiB")
}

fn ratio(ours: Duration, floor: Duration) -> String {
    format!("{:.2}", ours.as_secs_f64() / floor.as_secs_f64())
}

struct Row {
    what: String,
    figure: String,
    floor: String,
    ratio: String,
    goal: &'static str,
}

impl Report {
    fn rows(&self) -> Vec<Row> {
        let many = self.sizes.policies;
        let mut rows = Vec::new();
        for (policies, latency) in
            [("1 policy".to_owned(), &self.at_one), (format!("{many} policies"), &self.at_many)]
        {
            for (hundredths, goal) in [(50, "ratio ≤ 1.5"), (99, "ratio ≤ 3")] {
                let floor = percentile(&latency.floor, hundredths);
                for (from, durations, goal) in [("sent", &latency.ours, goal), ("stored", &latency.own, "")] {
                    let ours = percentile(durations, hundredths);
                    rows.push(Row {
                        what: format!("policy change {from} → workload patched, {policies}, p{hundredths}"),
                        figure: milliseconds(ours),
                        floor: milliseconds(floor),
                        ratio: ratio(ours, floor),
                        goal,
                    });
                }
            }
        }
        let [before, after] = self.bare;
        let writes = (before.writes + after.writes) / 2;
        let changes = (before.changes + after.changes) / 2;
        for (what, bare, goal) in
            [("", writes, "ratio ≤ 1.5"), (" (bare client: the policies' changes too)", writes + changes, "")]
        {
            rows.push(Row {
                what: format!("{} policies changed at once → all told in status{what}", self.sizes.burst),
                figure: seconds(self.ours.told),
                floor: seconds(bare),
                ratio: ratio(self.ours.told, bare),
                goal,
            });
        }
        rows.push(Row {
            what: "restart → ready (bare client: the same lists, nothing decoded)".into(),
            figure: seconds(self.restart.ready),
            floor: seconds(self.lists),
            ratio: ratio(self.restart.ready, self.lists),
            goal: "≤ 5 s",
        });
        rows.push(Row {
            what: "an edit of somebody's workload of 1.3 MB, on a processor (bare client: read into a tree)"
                .into(),
            figure: milliseconds(self.huge.ours),
            floor: milliseconds(self.huge.floor),
            ratio: ratio(self.huge.ours, self.huge.floor),
            goal: "≤ 50 ms",
        });
        let mut alone = |what: String, figure: String, goal| {
            rows.push(Row { what, figure, floor: String::new(), ratio: String::new(), goal });
        };
        alone(
            format!("memory with {many} policies and workloads, after a restart"),
            mebibytes(self.restarted.usage.resident),
            "≤ 100 MiB, 60 the aim",
        );
        alone("its peak".into(), mebibytes(self.restarted.usage.peak), "");
        alone(
            "memory of the process that saw them all come".into(),
            mebibytes(self.grown.usage.resident),
            "≤ 100 MiB, 60 the aim",
        );
        alone("its peak".into(), mebibytes(self.grown.usage.peak), "");
        let rest = seconds(self.grown.during + self.restarted.during);
        alone(
            format!("writes at rest, in {rest}"),
            (self.grown.requests.writes + self.restarted.requests.writes).to_string(),
            "0",
        );
        alone(
            format!("reads at rest, in {rest}"),
            (self.grown.requests.reads + self.restarted.requests.reads).to_string(),
            "",
        );
        alone("restart: writes".into(), self.restart.requests.writes.to_string(), "0");
        alone("restart: time on a processor until at rest".into(), seconds(self.restart.busy), "");
        alone(format!("{many} new policies until all are enforced"), seconds(self.installed), "");
        alone("the binary".into(), format!("{:.1} MiB", self.binary as f64 / 1_048_576.0), "image ≤ 15 MiB");
        rows
    }

    /// For the terminal and the page alike.
    pub fn table(&self) -> String {
        let mut lines = vec![["what", "operator", "bare client", "ratio", "to reach"].map(String::from)];
        lines.extend(
            self.rows().into_iter().map(|row| [row.what, row.figure, row.floor, row.ratio, row.goal.into()]),
        );
        let mut widths = [0; 5];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        lines.insert(1, widths.map(|width| "-".repeat(width)));
        let mut table = String::new();
        for line in lines {
            for (cell, width) in line.iter().zip(widths) {
                let _ = write!(table, "| {cell:width$} ");
            }
            table.push_str("|\n");
        }
        table
    }

    pub fn page(&self) -> Result<String> {
        let date = Timestamp::now().strftime("%Y-%m-%d").to_string();
        let cores = std::thread::available_parallelism()?;
        let memory = std::fs::read_to_string("/proc/meminfo")?;
        let kibibytes: f64 =
            memory.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default();
        let [one, many] =
            [&self.at_one, &self.at_many].map(|latency| milliseconds(percentile(&latency.floor_answer, 50)));
        Ok(format!(
            "{}\n{}\n{}",
            include_str!("page-head.md")
                .replace("{date}", &date)
                .replace("{cores}", &cores.to_string())
                .replace("{memory}", &format!("{:.0} GiB", kibibytes / 1_048_576.0)),
            self.table(),
            include_str!("page-tail.md")
                .replace("{changes}", &self.at_many.ours.len().to_string())
                .replace("{one}", &one)
                .replace("{many}", &many)
                .replace("{asked}", &seconds(self.ours.asked))
                .replace("{enforced}", &seconds(self.ours.enforced))
                .replace("{bare}", &self.bare.map(|bare| seconds(bare.writes)).join(" and "))
                .replace("{patches}", &self.bare.map(|bare| seconds(bare.changes)).join(" and "))
        ))
    }
}
