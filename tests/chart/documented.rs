//! The chart's values with their documentation, which is the comment above each in `values.yaml`.

use serde_json::Value;

/// A value of the chart, or a group of values.
pub struct Documented {
    pub path: Vec<String>,
    /// None for a group.
    pub default: Option<Value>,
    pub words: String,
}

impl Documented {
    pub fn name(&self) -> String {
        self.path.join(".")
    }
}

/// Every value in the order of the file: a block is a group, and a value of its own stands on one line.
pub fn read(text: &str) -> Result<Vec<Documented>, String> {
    let values: Value = serde_yaml::from_str(text).map_err(|error| format!("values.yaml: {error}"))?;
    let (mut found, mut path, mut words) = (Vec::new(), Vec::<String>::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        let content = line.trim_start();
        if let Some(comment) = content.strip_prefix('#') {
            words.push(comment.trim());
            continue;
        }
        let Some((key, rest)) = content.split_once(':').filter(|_| !content.is_empty()) else {
            words.clear();
            if content.is_empty() {
                continue;
            }
            return Err(format!(
                "values.yaml:{}: write a value on one line, as [a, b] or {{a: b}}",
                number + 1
            ));
        };
        path.truncate((line.len() - content.len()) / 2);
        path.push(key.into());
        let default = values.pointer(&format!("/{}", path.join("/")));
        let default = default.filter(|_| !rest.trim().is_empty()).cloned();
        found.push(Documented { path: path.clone(), default, words: words.join(" ") });
        words.clear();
    }
    Ok(found)
}

/// The schema of a value, under the schema of the whole.
pub fn schema_of<'a>(schema: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(schema, |schema, key| schema.get_mut("properties")?.get_mut(key))
}
