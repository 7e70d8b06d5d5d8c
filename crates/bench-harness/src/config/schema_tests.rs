use super::*;
use crate::config::shipped;

const SHIPPED: &str = include_str!("../../../../experiments/schema.json");

/// What the schema has against a value, with its path; knows the keywords that stand in the schema, and fails on others.
fn complaint(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    let refuse = |why: &str| Some(format!("{at}: {value} {why}"));
    let Value::Object(keywords) = schema else {
        return if schema == &json!(true) { None } else { refuse("is not allowed") };
    };
    keywords.iter().find_map(|(keyword, rule)| match keyword.as_str() {
        "$schema" | "title" | "description" | "default" | "format" | "definitions" => None,
        "$ref" => {
            let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
            complaint(root, root.pointer(pointer).unwrap(), value, at)
        }
        "allOf" => rule.as_array().unwrap().iter().find_map(|part| complaint(root, part, value, at)),
        "anyOf" => {
            let of: Vec<_> = rule.as_array().unwrap().iter().map(|one| complaint(root, one, value, at)).collect();
            of.iter().all(Option::is_some).then(|| format!("{at}: none of {of:?}"))
        }
        "type" => {
            let is = |name: &Value| match name.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                "number" => value.is_number(),
                "null" => value.is_null(),
                other => panic!("{other}"),
            };
            let fits = rule.as_array().map_or_else(|| is(rule), |names| names.iter().any(is));
            if fits { None } else { refuse(&format!("is not of type {rule}")) }
        }
        "const" => {
            if rule == value {
                None
            } else {
                refuse("is another constant")
            }
        }
        "enum" => {
            if rule.as_array().unwrap().contains(value) {
                None
            } else {
                refuse("is not in the list")
            }
        }
        "minimum" => {
            if value.as_f64() < rule.as_f64() {
                refuse("is too small")
            } else {
                None
            }
        }
        "minItems" => {
            if value.as_array()?.len() < rule.as_u64()? as usize {
                refuse("is too short")
            } else {
                None
            }
        }
        "maxItems" => {
            if value.as_array()?.len() > rule.as_u64()? as usize {
                refuse("is too long")
            } else {
                None
            }
        }
        "items" => value.as_array()?.iter().find_map(|item| complaint(root, rule, item, at)),
        "properties" => value.as_object()?.iter().find_map(|(key, value)| {
            rule.get(key).and_then(|rule| complaint(root, rule, value, &format!("{at}.{key}")))
        }),
        "additionalProperties" => {
            let known = |key: &String| keywords.get("properties").is_some_and(|p| p.get(key).is_some());
            let others = value.as_object()?.iter().filter(|(key, _)| !known(key));
            others.map(|(key, value)| complaint(root, rule, value, &format!("{at}.{key}"))).find_map(|found| found)
        }
        other => panic!("the schema has a keyword that this test does not know: {other}"),
    })
}

fn judge(text: &str) -> Option<String> {
    let (root, value) = (schema().to_value(), toml::from_str::<Value>(text).unwrap());
    complaint(&root, &root, &value, "")
}

#[test]
fn the_shipped_schema_is_current() {
    assert!(text().unwrap() == SHIPPED, "write it with `dale config schema > experiments/schema.json`");
}

#[test]
fn every_shipped_experiment_and_every_resolved_one_fits() {
    for (file, text) in shipped::FILES {
        assert!(text.starts_with("#:schema schema.json\n"), "{file}");
        assert_eq!(judge(text), None, "{file}");
    }
    for name in shipped::names() {
        let layers = shipped::experiment(name).unwrap();
        for preset in layers.presets() {
            let shown = layers.resolve(Some(preset), &[]).unwrap().annotated().unwrap();
            assert_eq!(judge(&shown), None, "{name} {preset}");
        }
    }
}

#[test]
fn what_the_program_refuses_the_schema_refuses() {
    for (text, place) in [
        ("sed = 1", ".sed"),
        ("training.step = 1", ".training.step"),
        ("training.steps = 'many'", ".training.steps"),
        ("training.decay = 'linear'", ".training.decay"),
        ("data.name = 'mnits'", ".data.name"),
        ("network.preset = 'unet-3m'", ".network.preset"),
        ("sampling.sampler.churns = 1.0", ".sampling.sampler"),
        ("sampling.grid = { kind = 'karras', sigma = 0.8 }", ".sampling.grid"),
        ("training.averages = [{ widht = 0.1 }]", ".training.averages"),
        ("[preset.cpu]\nseeds = 1", ".preset.cpu.seeds"),
        ("[preset.cpu]\nextends = 1", ".preset.cpu.extends"),
    ] {
        let found = judge(text).unwrap_or_else(|| panic!("{text} is not refused"));
        assert!(found.starts_with(place), "{text}: {found}");
    }
}

#[test]
fn keys_carry_their_documentation() {
    let schema = schema().to_value();
    let said = |pointer: &str| schema.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    assert_eq!(said("/properties/seed/description").as_deref(), Some("Seed of everything random."));
    let steps = said("/definitions/TrainingConfig/properties/steps/description");
    assert_eq!(steps.as_deref(), Some("Number of optimizer steps."));
}
