//! An axis: values of one key, or of several that go together, each with a label.

use toml::{Table, Value};

use super::results::reserved;

/// A value of an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Its name in tables and charts.
    pub label: String,
    /// Keys and values that it sets.
    pub assignments: Vec<(String, Value)>,
}

/// What is varied.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The key, or a name for several.
    pub name: String,
    /// What it takes, at least one.
    pub choices: Vec<Choice>,
}

/// A key, and why it was refused.
pub(super) type Refusal = (String, String);

/// Every list of a grid is an axis.
pub(super) fn grid(table: &Table) -> Result<Vec<Axis>, Refusal> {
    let mut flat = Vec::new();
    for (key, value) in table {
        flatten(key, value, &mut flat);
    }
    flat.into_iter()
        .map(|(key, value)| {
            let choices = list(&key, value)?.into_iter().map(|value| choice(&key, value)).collect();
            axis(key, choices)
        })
        .collect()
}

/// Lists that go together are one axis.
pub(super) fn zipped(mut table: Table) -> Result<Axis, Refusal> {
    let at = || "sweep.zip".to_owned();
    let name = match table.get("name") {
        Some(Value::String(name)) => Some(name.clone()),
        _ => None,
    };
    if name.is_some() {
        table.remove("name");
    }
    let labels = table.remove("labels").map(|labels| list("sweep.zip.labels", labels)).transpose()?;
    let mut flat = Vec::new();
    for (key, value) in &table {
        flatten(key, value, &mut flat);
    }
    let lists: Vec<(String, Vec<Value>)> =
        flat.into_iter().map(|(key, value)| Ok((key.clone(), list(&key, value)?))).collect::<Result<_, Refusal>>()?;
    let Some((first, length)) = lists.first().map(|(key, list)| (key.clone(), list.len())) else {
        return Err((at(), "has no lists".into()));
    };
    let named = labels.iter().map(|list| ("labels", list.len()));
    for (key, other) in lists.iter().map(|(key, list)| (key.as_str(), list.len())).chain(named) {
        if other != length {
            let reason = format!("the lists must be equally long: {first} has {length} values, {key} has {other}");
            return Err((at(), reason));
        }
    }
    let choices = (0..length)
        .map(|i| {
            let parts: Vec<Choice> = lists.iter().map(|(key, list)| choice(key, list[i].clone())).collect();
            let mut words: Vec<String> = Vec::new();
            for part in &parts {
                if !words.contains(&part.label) {
                    words.push(part.label.clone());
                }
            }
            let label = labels.as_ref().map_or_else(|| words.join(" / "), |labels| text(&labels[i]));
            Choice { label, assignments: parts.into_iter().flat_map(|part| part.assignments).collect() }
        })
        .collect();
    axis(name.unwrap_or(first), choices)
}

fn axis(name: String, choices: Vec<Choice>) -> Result<Axis, Refusal> {
    if name == "seed" || choices.iter().any(|c| c.assignments.iter().any(|(key, _)| key == "seed")) {
        return Err(("seed".into(), "seeds are not an axis; list them in sweep.seeds".into()));
    }
    if reserved(&name) {
        return Err((name, "is a column of the results; give the axis another name".into()));
    }
    if choices.is_empty() {
        return Err((name, "has no values".into()));
    }
    for (i, choice) in choices.iter().enumerate() {
        if choices[..i].iter().any(|other| other.label == choice.label) {
            return Err((name, format!("two values are called {:?}; give them a `label`", choice.label)));
        }
    }
    Ok(Axis { name, choices })
}

/// One value of an axis, labelled or not.
fn choice(key: &str, value: Value) -> Choice {
    if let Value::Table(table) = &value
        && let (2, Some(Value::String(label)), Some(value)) = (table.len(), table.get("label"), table.get("value"))
    {
        return Choice { label: label.clone(), assignments: vec![(key.to_owned(), value.clone())] };
    }
    Choice { label: text(&value), assignments: vec![(key.to_owned(), value)] }
}

/// A value for people.
fn text(value: &Value) -> String {
    match value {
        Value::String(word) => word.clone(),
        Value::Table(table) if table.len() == 1 => {
            table.get("kind").and_then(Value::as_str).map_or_else(|| value.to_string(), str::to_owned)
        }
        _ => value.to_string(),
    }
}

fn list(key: &str, value: Value) -> Result<Vec<Value>, Refusal> {
    match value {
        Value::Array(values) => Ok(values),
        other => Err((key.to_owned(), format!("{other} is not a list of values"))),
    }
}

/// Leaves of nested tables under their dotted keys.
pub(super) fn flatten(key: &str, value: &Value, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Table(table) => {
            for (inner, value) in table {
                flatten(&format!("{key}.{inner}"), value, into);
            }
        }
        _ => into.push((key.to_owned(), value.clone())),
    }
}
