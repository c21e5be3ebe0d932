//! What other crates log: bounded, and without what they were answered. The client library logs whole answers
//! that it cannot decode, and the variables of workloads stand in them.

use std::fmt::{self, Write};

use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// The target of lines that no directive silences: who weakened sign-in, and when, is always on record.
pub const ALWAYS: &str = "audit";

/// Targets of our own.
const OWN: [&str; 2] = ["mfa_operator", ALWAYS];
/// Longest text of a library in the log, in bytes.
const LONGEST: usize = 1_000;

/// Whether our own code says it.
pub fn is_own(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    OWN.iter()
        .any(|own| target.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
}

/// A line for people in the form of `F`, another crate's cut.
pub struct Bounded<F>(pub F);

impl<S, N, F> FormatEvent<S, N> for Bounded<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if is_own(event.metadata()) {
            return self.0.format_event(context, writer, event);
        }
        let mut line = Cut::default();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        writeln!(writer, "{}", line.told().trim_end())
    }
}

/// The beginning of a text; the rest is never held.
#[derive(Default)]
pub struct Cut {
    text: String,
    more: bool,
}

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LONGEST - self.text.len();
        let fits =
            (0..=room.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        self.text.push_str(&text[..fits]);
        self.more |= fits < text.len();
        Ok(())
    }
}

impl Cut {
    /// A value as it is told.
    pub fn of(value: fmt::Arguments<'_>) -> String {
        let mut cut = Self::default();
        // It never fails.
        let _ = cut.write_fmt(value);
        cut.told()
    }

    /// Up to where an answer may begin: JSON, quoted or not, or a page.
    fn told(self) -> String {
        let begins = |rest: &str| {
            let object =
                rest.strip_prefix('{').is_some_and(|rest| rest.trim_start_matches('\\').starts_with('"'));
            let page = rest
                .strip_prefix('<')
                .is_some_and(|rest| rest.starts_with(|next: char| next == '!' || next.is_ascii_alphabetic()));
            object || page
        };
        let at = self.text.char_indices().map(|(at, _)| at).find(|at| begins(&self.text[*at..]));
        match at {
            Some(at) => format!("{}(an answer, left out)", &self.text[..at]),
            None if self.more => self.text + "(cut)",
            None => self.text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{LogFormat, lines};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ListParams;
    use kube::client::Body;
    use kube::{Api, Client};
    use parking_lot::Mutex;
    use std::io;
    use std::sync::Arc;
    use tracing::subscriber::DefaultGuard;
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().clone()).expect("it is text")
        }

        fn start(&self, format: LogFormat) -> DefaultGuard {
            use tracing_subscriber::layer::SubscriberExt;
            tracing::subscriber::set_default(tracing_subscriber::registry().with(lines(format, self.clone())))
        }
    }

    /// Lists with a client that is answered so.
    async fn list(answer: &'static str) {
        let served = tower::service_fn(move |_: http::Request<Body>| async move {
            Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(answer.as_bytes().to_vec())))
        });
        let found = Api::<ConfigMap>::default_namespaced(Client::new(served, "identity"))
            .list(&ListParams::default())
            .await;
        assert!(found.is_err(), "it cannot be decoded");
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_decoded_is_not_logged() {
        for format in [LogFormat::Text, LogFormat::Json] {
            for answer in [
                r#"{"items": [{"metadata": {"name": 1}, "data": {"key": "hunter2"}}]}"#,
                "<html>hunter2</html>",
            ] {
                let logged = Lines::default();
                let guard = logged.start(format);
                list(answer).await;
                drop(guard);
                let text = logged.text();
                assert!(
                    text.contains("kube_client") && text.contains("left out"),
                    "the library says something: {text}"
                );
                assert!(!text.contains("hunter2"), "{text}");
            }
        }
    }

    #[test]
    fn what_others_say_is_bounded_and_what_we_say_is_whole() {
        let long = "x".repeat(5_000);
        for format in [LogFormat::Text, LogFormat::Json] {
            let logged = Lines::default();
            let guard = logged.start(format);
            tracing::info!(target: "h2::codec", long, "{long}");
            let foreign = logged.text().len();
            tracing::info!(target: "audit", "{long}");
            tracing::info!("{long}");
            drop(guard);
            assert!(foreign < 2_500 && logged.text().len() > foreign + 10_000, "{foreign}");
        }
        assert_eq!(Cut::of(format_args!("{}", "é".repeat(600))).chars().count(), 500 + "(cut)".len());
        let kept = ["requesting", "Error { code: 3 }", "a < b"];
        assert_eq!(kept.map(|text| Cut::of(format_args!("{text}"))), kept);
        assert_eq!(Cut::of(format_args!("read {:?}", r#"{"a": 1}"#)), "read \"(an answer, left out)");
    }
}
