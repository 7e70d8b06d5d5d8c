//! A resolved experiment as TOML, each line with where its value came from.

use toml::{Table, Value};

use super::layers::Resolved;

impl Resolved {
    /// TOML that gives the same experiment when it is read; `# …` behind a value is its origin.
    ///
    /// # Errors
    /// If the settings cannot be written as TOML.
    pub fn annotated(&self) -> Result<String, toml::ser::Error> {
        let table = Table::try_from(&self.experiment)?;
        let mut out = String::new();
        self.write(&mut out, &mut Vec::new(), &table);
        Ok(out)
    }

    /// The plain values of a table and then the tables in it, as TOML wants them.
    fn write<'a>(&self, out: &mut String, path: &mut Vec<&'a str>, table: &'a Table) {
        let mut lines = Vec::new();
        for (key, value) in table.iter().filter(|(_, value)| !value.is_table()) {
            path.push(key);
            lines.push((format!("{key} = {value}"), self.origin(path)));
            path.pop();
        }
        if !path.is_empty() && (!lines.is_empty() || table.is_empty()) {
            out.push_str(&format!("\n[{}]\n", path.join(".")));
        }
        let width = lines.iter().map(|(line, _)| line.chars().count()).filter(|n| *n <= 60).max().unwrap_or(0);
        for (line, origin) in lines {
            out.push_str(&format!("{line:width$}  # {origin}\n"));
        }
        for (key, value) in table {
            if let Value::Table(inner) = value {
                path.push(key);
                self.write(out, path, inner);
                path.pop();
            }
        }
    }
}
