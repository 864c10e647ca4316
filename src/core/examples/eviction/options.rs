//! What the caller asks for.

use super::trace::names;

#[derive(Debug, Default, PartialEq)]
pub struct Options {
    pub quick: bool,
    pub models: bool,
    /// Made traces to run.
    pub traces: Vec<String>,
    /// One capacity, in place of those of each trace.
    pub size: Option<f64>,
    pub file: Option<String>,
}

impl Options {
    pub fn read(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut arguments = arguments;
        let mut options = Options::default();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--models" => options.models = true,
                "--trace" => {
                    let name = value()?;
                    if !names().contains(&name) {
                        return Err(format!("no trace {name:?}; there are {}", names().join(", ")));
                    }
                    options.traces.push(name);
                }
                "--size" => {
                    let size = value()?;
                    let size = size.parse().ok().filter(|size| *size > 0.0 && *size <= 1.0);
                    options.size = Some(size.ok_or("--size takes a fraction of all bytes, such as 0.05")?);
                }
                "--file" => options.file = Some(value()?),
                _ => {
                    return Err(format!(
                        "unknown option {argument}; allowed are --quick, --models, --trace NAME, --size FRACTION, \
                         --file TRACEFILE"
                    ));
                }
            }
        }
        if options.traces.is_empty() && options.file.is_none() {
            options.traces = names();
        }
        Ok(options)
    }
}
