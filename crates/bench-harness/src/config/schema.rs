//! The JSON Schema of an experiment's file, for editors: `#:schema schema.json` in its first line.
//!
//! It is made from the types that read the file, with their documentation. A file may hold a part of an experiment only, so
//! nothing in it is required, and a table can be completed by another file without its `kind` being repeated.

use models::unet::PRESETS;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Value, json};

use super::Experiment;
use crate::data::catalog;

/// The schema as text, as it stands in `experiments/schema.json`.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn text() -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(&schema())?;
    text.push('\n');
    Ok(text)
}

/// The schema.
#[must_use]
pub fn schema() -> Schema {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<Experiment>();
    RecursiveTransform(partial).transform(&mut schema);
    let size = json!({
        "description": "A size by name; keys beside it are laid over it.",
        "enum": PRESETS,
    });
    put(&mut schema, "/definitions/UNetConfig/properties", "preset", size);
    let names = json!(catalog::names());
    put(&mut schema, "/definitions/DataConfig/properties/name", "enum", names);
    schema.insert("title".to_owned(), json!("Experiment of dale"));
    schema.insert(
        "description".to_owned(),
        json!("A whole experiment, or what it has different from the file that it extends."),
    );
    // A preset is a part of an experiment, too.
    let mut overlay = schema.get("properties").cloned().unwrap_or_default();
    let built_on = |what: &str| json!({ "description": what, "type": "string" });
    if let Value::Object(properties) = &mut overlay {
        properties.insert("extends".to_owned(), built_on("The preset that this one builds on."));
    }
    let overlay = json!({ "type": "object", "properties": overlay, "additionalProperties": false });
    let presets = json!({
        "description": "Overlays, chosen with --preset NAME.",
        "type": "object",
        "additionalProperties": { "$ref": "#/definitions/Preset" },
    });
    put(&mut schema, "/definitions", "Preset", overlay);
    put(&mut schema, "/properties", "preset", presets);
    put(&mut schema, "/properties", "extends", built_on("The file that this one builds on, from this one's folder."));
    schema
}

/// Inserts a key into the object that a JSON pointer leads to.
fn put(schema: &mut Schema, pointer: &str, key: &str, value: Value) {
    if let Some(Value::Object(object)) = schema.pointer_mut(pointer) {
        object.insert(key.to_owned(), value);
    }
}

/// Nothing is required, and a table without its `kind` may be any of its kinds.
fn partial(schema: &mut Schema) {
    schema.remove("required");
    if let Some(kinds) = schema.remove("oneOf") {
        schema.insert("anyOf".to_owned(), kinds);
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
