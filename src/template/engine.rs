//! Evaluates expressions: strict, without I/O, with a small set of bounded filters.

use super::scan::{Piece, Scanned};
use super::{Context, meter, shapes};
use crate::error::{Origin, Violation, Violations};
use crate::model::values::type_name;
use crate::suggest::did_you_mean;
use crate::yaml::write_json_string;
use minijinja::value::{Kwargs, Rest, Value as Item, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, filters, tests as checks};
use serde_json::{Map, Number, Value};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

/// The longest output of one template for one unit, in bytes.
pub const MAX_OUTPUT: usize = 8 << 20;
/// The largest value that `{% set %}` or a filter may make, in bytes.
pub const MAX_VALUE: usize = 1 << 20;
/// How many steps one template may take for one unit.
pub const FUEL: u64 = 1_000_000;
/// How deep calls may nest.
const RECURSION: usize = 50;
/// How deep a value may nest.
const DEPTH: usize = 64;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(environment);

/// Builds the environment that every template shares: nothing but what stands here.
fn environment() -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(RECURSION);
    env.set_debug(false);
    env.set_formatter(|out, _state, value| {
        let plain = to_json(value, 0)?;
        shapes::print(out, plain, write_json_string).map_err(Error::from)
    });
    add_filters(&mut env);
    add_tests(&mut env);
    env.add_function("fail", |message: String| -> Result<Item, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    env
}

fn add_filters(env: &mut Environment<'static>) {
    env.add_filter("default", filters::default);
    metered(env, "upper", meter::charge_for_text, Item::from_function(filters::upper));
    metered(env, "lower", meter::charge_for_text, Item::from_function(filters::lower));
    metered(env, "trim", meter::charge_for_text, Item::from_function(filters::trim));
    env.add_filter("length", filters::length);
    env.add_filter("first", filters::first);
    env.add_filter("last", filters::last);
    metered(env, "sort", meter::charge_for_parts, Item::from_function(filters::sort));
    metered(env, "unique", meter::charge_for_parts, Item::from_function(filters::unique));
    metered(env, "list", meter::charge_for_parts, Item::from_function(filters::list));
    metered(env, "items", meter::charge_for_parts, Item::from_function(filters::items));
    metered(env, "dictsort", meter::charge_for_parts, Item::from_function(filters::dictsort));
    metered(env, "split", meter::charge_for_parts, Item::from_function(filters::split));
    env.add_filter("int", filters::int);
    env.add_filter("abs", filters::abs);
    metered(env, "min", meter::charge_for_parts, Item::from_function(filters::min));
    metered(env, "max", meter::charge_for_parts, Item::from_function(filters::max));
    metered(env, "map", meter::charge_for_parts, Item::from_function(filters::map));
    metered(env, "select", meter::charge_for_parts, Item::from_function(filters::select));
    metered(env, "selectattr", meter::charge_for_parts, Item::from_function(filters::selectattr));
    metered(env, "reject", meter::charge_for_parts, Item::from_function(filters::reject));
    metered(env, "rejectattr", meter::charge_for_parts, Item::from_function(filters::rejectattr));
    env.add_filter("keys", |value: Item| -> Result<Item, Error> {
        meter::charge_for_parts(&value)?;
        Ok(value.try_iter()?.collect())
    });
    env.add_filter("string", |value: Item| -> Result<String, Error> {
        meter::charge_for_text(&value)?;
        text_of(&value)
    });
    env.add_filter("bounded", bounded);
    env.add_filter("times", |a: Item, b: Item| -> Result<Item, Error> {
        match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a
                .checked_mul(b)
                .map(Item::from)
                .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "the product does not fit 64 bits")),
            _ => Err(Error::new(ErrorKind::InvalidOperation, "`times` takes two integers")),
        }
    });
    env.add_filter("replace", |text: String, from: String, to: String| -> Result<String, Error> {
        let count = if from.is_empty() { text.len() + 1 } else { text.matches(from.as_str()).count() };
        let longest = text.len().saturating_add(count.saturating_mul(to.len()));
        measured(longest)?;
        meter::charge(longest)?;
        Ok(text.replace(from.as_str(), &to))
    });
    env.add_filter("join", |list: Item, with: Option<String>| -> Result<String, Error> {
        let with = with.unwrap_or_default();
        let mut out = String::new();
        for (i, item) in list.try_iter()?.enumerate() {
            if i > 0 {
                out.push_str(&with);
            }
            out.push_str(&text_of(&item)?);
            measured(out.len())?;
        }
        meter::charge(out.len())?;
        Ok(out)
    });
    env.add_filter("tojson", |value: Item, _options: Kwargs| -> Result<String, Error> {
        let text = to_json(&value, 0)?.to_string();
        meter::charge(text.len())?;
        Ok(text)
    });
}

/// What a filter costs, by what it is given.
type Charge = fn(&Item) -> Result<(), Error>;

/// Adds a filter of the engine that copies what it is given, and charges for the copy first.
fn metered(env: &mut Environment<'static>, name: &'static str, charge: Charge, filter: Item) {
    env.add_filter(name, move |state: &mut State, value: Item, more: Rest<ValueOrKwargs>| {
        charge(&value)?;
        let mut arguments = vec![value];
        arguments.extend(more.iter().map(|argument| Item::clone(argument)));
        filter.call(state, &arguments)
    });
}

fn add_tests(env: &mut Environment<'static>) {
    env.add_test("defined", checks::is_defined);
    env.add_test("undefined", checks::is_undefined);
    env.add_test("none", checks::is_none);
    env.add_test("string", checks::is_string);
    env.add_test("number", checks::is_number);
    env.add_test("integer", checks::is_integer);
    env.add_test("boolean", checks::is_boolean);
    env.add_test("mapping", checks::is_mapping);
    env.add_test("sequence", checks::is_sequence);
    env.add_test("startingwith", checks::is_startingwith);
    env.add_test("endingwith", checks::is_endingwith);
    env.add_test("in", checks::is_in);
    env.add_test("eq", checks::is_eq);
    env.add_test("ne", checks::is_ne);
    env.add_test("true", checks::is_true);
    env.add_test("false", checks::is_false);
}

fn measured(bytes: usize) -> Result<(), Error> {
    if bytes > MAX_VALUE {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("a value in this template grew past {MAX_VALUE} bytes"),
        ));
    }
    Ok(())
}

/// Measures a value as it would be printed, and stops as soon as it is too large.
fn bounded(value: Item) -> Result<Item, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let mut budget = MAX_VALUE;
    measure(&value, &mut budget, 0)?;
    meter::charge(MAX_VALUE - budget)?;
    Ok(value)
}

fn measure(value: &Item, budget: &mut usize, depth: usize) -> Result<(), Error> {
    if depth > DEPTH {
        return Err(too_deep());
    }
    let own = value.as_str().map_or(0, str::len) + meter::ITEM;
    *budget = budget.checked_sub(own).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("a value in this template grew past {MAX_VALUE} bytes"),
        )
    })?;
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            for item in value.try_iter()? {
                measure(&item, budget, depth + 1)?;
            }
        }
        ValueKind::Map => {
            for key in value.try_iter()? {
                measure(&key, budget, depth + 1)?;
                measure(&value.get_item(&key)?, budget, depth + 1)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn too_deep() -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("a value nests deeper than {DEPTH} levels"))
}

fn text_of(value: &Item) -> Result<String, Error> {
    match value.kind() {
        ValueKind::String => Ok(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Number | ValueKind::Bool => Ok(value.to_string()),
        other => Err(Error::new(ErrorKind::InvalidOperation, format!("a {other} is no text"))),
    }
}

/// Returns a template value as plain data.
fn to_json(value: &Item, depth: usize) -> Result<Value, Error> {
    if depth == 0 {
        let mut budget = MAX_OUTPUT;
        measure(value, &mut budget, 0)?;
        meter::charge(MAX_OUTPUT - budget)?;
    }
    Ok(match value.kind() {
        ValueKind::Undefined => return Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::None => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number => Value::Number(number(value)?),
        ValueKind::String => Value::String(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Seq | ValueKind::Iterable => {
            Value::Array(value.try_iter()?.map(|item| to_json(&item, depth + 1)).collect::<Result<_, _>>()?)
        }
        ValueKind::Map => {
            let mut map = Map::new();
            for key in value.try_iter()? {
                map.insert(text_of(&key)?, to_json(&value.get_item(&key)?, depth + 1)?);
            }
            Value::Object(map)
        }
        other => return Err(Error::new(ErrorKind::InvalidOperation, format!("a {other} is no YAML value"))),
    })
}

/// Returns a number that YAML can carry; a silent null would pass for a value nobody set.
fn number(value: &Item) -> Result<Number, Error> {
    let whole = if value.is_integer() {
        value.as_i64().map(Number::from).or_else(|| u64::try_from(value.clone()).ok().map(Number::from))
    } else {
        f64::try_from(value.clone()).ok().and_then(Number::from_f64)
    };
    whole
        .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "the number does not fit 64 bits, or is none"))
}

/// A compiled expression.
pub struct Compiled {
    expression: minijinja::Expression<'static, 'static>,
    text: String,
    /// The names of an expression that only looks something up, as `tenant.name`.
    path: Option<Vec<String>>,
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Compiled({:?})", self.text)
    }
}

impl Compiled {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is no expression.
    pub fn new(text: &str, at: &Origin) -> Result<Self, Violation> {
        let expression = ENVIRONMENT
            .compile_expression_owned(text.to_owned())
            .map_err(|e| Violation::error(format!("this is no expression: {}", detail(&e))).at(at.clone()))?;
        let names: Vec<String> = text.split('.').map(str::to_owned).collect();
        let path = names.iter().all(|name| is_name(name)).then_some(names);
        Ok(Self { expression, text: text.to_owned(), path })
    }

    /// Evaluates it to plain data.
    ///
    /// # Errors
    /// An undefined value, or a failing operation.
    pub fn eval(&self, context: &Context, at: impl FnOnce() -> Origin) -> Result<Value, Violation> {
        if let Some(value) = self.path.as_deref().and_then(|path| context.look_up(path))
            && meter::charge_for_data(value, MAX_OUTPUT, DEPTH)
        {
            return Ok(value.clone());
        }
        let value = self.expression.eval(context.item()).and_then(|v| to_json(&v, 0));
        value.map_err(|e| explain(&e, std::slice::from_ref(&self.text), context, &at()))
    }
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A template with tags.
pub struct Engine {
    environment: Environment<'static>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

const NAME: &str = "template";

impl Engine {
    /// Compiles a template with tags.
    ///
    /// # Errors
    /// What is no template.
    pub fn compile(file: &Arc<str>, scanned: &Scanned) -> Result<Self, Violations> {
        let mut environment = ENVIRONMENT.clone();
        environment.add_template_owned(NAME, source(scanned)).map_err(|e| {
            let at = Origin::at(file.clone(), e.line().unwrap_or(0) as u32, 0);
            let detail = detail(&e);
            let mut v = Violation::error(format!("this is no template: {detail}")).at(at);
            if detail.contains("end of input") || detail.contains("unknown statement") {
                v.hint = Some(
                    "close each `{% if %}` with `{% endif %}` and each `{% for %}` with `{% endfor %}`"
                        .into(),
                );
            }
            vec![v]
        })?;
        Ok(Self { environment })
    }

    /// Prints the template for one unit.
    ///
    /// # Errors
    /// An undefined value, a failing operation, or a bound reached.
    pub fn render(&self, file: &Arc<str>, scanned: &Scanned, context: &Context) -> Result<String, Violation> {
        let mut out = Limited { bytes: Vec::new(), full: false };
        let done = self
            .environment
            .get_template(NAME)
            .and_then(|t| t.render_captured_to(context.item().clone(), &mut out).map(|_| ()));
        if out.full {
            return Err(Violation::error(format!("the template prints more than {MAX_OUTPUT} bytes"))
                .at(Origin::file(file.clone())));
        }
        if let Err(e) = done {
            let line = e.line().unwrap_or(0) as u32;
            let at = Origin::at(file.clone(), line, 0);
            return Err(explain(&e, &scanned.expressions_on(line), context, &at));
        }
        String::from_utf8(out.bytes)
            .map_err(|_| Violation::error("the template does not print UTF-8").at(Origin::file(file.clone())))
    }
}

/// Puts the pieces together again, with the result of each `{% set %}` measured.
fn source(scanned: &Scanned) -> String {
    let mut out = String::new();
    for piece in &scanned.pieces {
        let _ = match piece {
            Piece::Literal(text) => write!(out, "{text}"),
            Piece::Slot { text, .. } => write!(out, "{{{{ {text} }}}}"),
            Piece::Tag { text, .. } => match text.strip_prefix("set").and_then(|t| t.split_once('=')) {
                Some((name, value)) if !value.starts_with('=') => {
                    write!(out, "{{% set{name}= ({value}) | bounded %}}")
                }
                _ => write!(out, "{{% {text} %}}"),
            },
        };
    }
    out
}

impl Scanned {
    /// Returns the expressions that stand on a line.
    fn expressions_on(&self, wanted: u32) -> Vec<String> {
        self.pieces
            .iter()
            .filter_map(|p| match p {
                Piece::Slot { text, line } if *line == wanted => Some(text.clone()),
                Piece::Tag { text, line } if *line == wanted => {
                    let body = text.split_once([' ', '=']).map_or("", |(_, rest)| rest);
                    Some(body.rsplit(" in ").next().unwrap_or(body).to_owned())
                }
                _ => None,
            })
            .collect()
    }
}

/// A writer that stops at [`MAX_OUTPUT`].
struct Limited {
    bytes: Vec<u8>,
    full: bool,
}

impl std::io::Write for Limited {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + buf.len() > MAX_OUTPUT {
            self.full = true;
            return Err(std::io::Error::other("full"));
        }
        self.bytes.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn detail(e: &Error) -> String {
    e.detail().map_or_else(|| e.kind().to_string(), str::to_owned)
}

/// Puts an engine error into words, with the names in reach but never their values.
fn explain(e: &Error, expressions: &[String], context: &Context, at: &Origin) -> Violation {
    let mut v = Violation::error(String::new()).at(at.clone());
    match e.kind() {
        ErrorKind::UndefinedError => {
            let missing = expressions.iter().find_map(|x| first_missing(x, context));
            let Some((path, reach)) = missing else {
                v.message = "an undefined value is used here".into();
                return v;
            };
            v.message = format!("`{path}` is not defined");
            v.hint = Some(reach);
        }
        ErrorKind::OutOfFuel => {
            v.message = format!("the template takes more than {FUEL} steps");
            v.hint = Some("look for loops inside loops".into());
        }
        ErrorKind::UnknownFilter => {
            v.message = detail(e);
            v.hint = Some("docs/templates.md lists the filters".into());
        }
        _ => v.message = crate::redact::redact(&detail(e)).into_owned(),
    }
    v
}

/// Returns the first part of a dotted name that the context does not have, and what stands
/// beside it: names and types, never values.
fn first_missing(expression: &str, context: &Context) -> Option<(String, String)> {
    let compiled = ENVIRONMENT.compile_expression_owned(expression.to_owned()).ok()?;
    let mut names: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
    names.sort();
    for name in names {
        let mut parts = name.split('.');
        let Some(first) = parts.next() else { continue };
        let Some(mut here) = context.get(first) else {
            if first == "text" {
                continue;
            }
            return Some((first.to_owned(), in_reach(first, "", context.names())));
        };
        let mut walked = vec![first];
        for part in parts {
            let Value::Object(map) = here else { break };
            let above = walked.join(".");
            walked.push(part);
            match map.get(part) {
                Some(next) => here = next,
                None => {
                    let known = map.iter().map(|(name, value)| (name.as_str(), value));
                    return Some((walked.join("."), in_reach(part, &above, known)));
                }
            }
        }
    }
    None
}

/// Returns what stands beside a name that is missing below another (empty: below none).
fn in_reach<'a>(missing: &str, above: &str, known: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let known: Vec<(&str, &Value)> = known.collect();
    let near = did_you_mean(missing, known.iter().map(|(name, _)| *name))
        .filter(|n| n.starts_with("did"))
        .map(|n| format!("{n}\n"))
        .unwrap_or_default();
    let reach: Vec<String> =
        known.iter().map(|(name, value)| format!("{name} ({})", type_name(value))).take(30).collect();
    match reach.is_empty() {
        true => format!("{near}`{above}` is empty here"),
        false => format!("{near}in reach here: {}", reach.join(", ")),
    }
}
