//! One JSON object a line, flat: fields of the line and of the policy that it is about side by side.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::foreign;

pub struct Flat;

impl<S> FormatEvent<S, JsonFields> for Flat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            if let Some(Ok(Value::Object(fields))) = fields.map(|fields| serde_json::from_str(fields)) {
                line.extend(fields);
            }
        }
        let metadata = event.metadata();
        event.record(&mut Fields { line: &mut line, own: foreign::is_own(metadata) });
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        // A library that writes by another crate: the true name of its module is a field.
        let module = line.remove("log.target").unwrap_or_else(|| metadata.target().into());
        line.retain(|field, _| !field.starts_with("log."));
        // These are the line's own, whatever fields are called.
        line.insert("timestamp".into(), timestamp.into());
        line.insert("level".into(), metadata.level().as_str().into());
        line.insert("target".into(), module);
        writeln!(writer, "{}", Value::Object(line))
    }
}

struct Fields<'a> {
    line: &'a mut Map<String, Value>,
    own: bool,
}

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        self.line.insert(field.name().into(), value);
    }

    fn text(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        let text = if self.own { text.to_string() } else { foreign::Cut::of(text) };
        self.put(field, text.into());
    }
}

impl Visit for Fields<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }
}
