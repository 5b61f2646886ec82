//! Values between components and JSON, by their WIT type.
//!
//! | WIT | JSON |
//! |---|---|
//! | `bool`, `string` | boolean, string |
//! | `u8` … `s32` | number |
//! | `u64`, `s64` | number when JavaScript holds it exactly, else a string of digits; both are accepted for both |
//! | `f32`, `f64` | number, or one of the strings `NaN`, `Infinity`, `-Infinity` |
//! | `char` | string of one character |
//! | `list<u8>`, `list<u8, N>` | base64 string (standard alphabet; padding is written and may be left out) |
//! | `list<T>`, `list<T, N>`, `tuple` | array |
//! | `map<K, V>` | array of `[key, value]`; where keys are strings an object is accepted too |
//! | `record` | object with lowerCamelCase keys; WIT names are accepted too |
//! | `variant` | `{"tag": name, "val": payload}`, without `val` for a case that carries nothing |
//! | `result` | the same with the tags `ok` and `err` |
//! | `enum`, `flags` | the name as WIT has it, array of such names |
//! | `option<T>` | `null` or the value; a field or argument left out means `null` |
//! | `option<option<T>>` | `null` or `{"tag": "some", "val": option<T>}`, so that `some(none)` stays itself |
//!
//! Resources, streams, futures and error contexts stay inside their store and are refused by name.
//! What a value may cost is the caller's to say ([`Limits`]); what it means is the component's.
//! Types are never compared with `==` here: wasmtime panics on that for resources not yet instantiated.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Number, Value};
use wasmtime::component::{Type, Val, types};

/// The largest whole number of which JavaScript's numbers hold every smaller one: 2^53 − 1.
const MAX_SAFE: i128 = (1 << 53) - 1;
/// Names listed in one message before the rest is only counted.
const NAMES_SHOWN: usize = 20;
/// Characters of a wrong value that a message repeats.
const CHARACTERS_SHOWN: usize = 60;

/// What one conversion may cost. Everything converted together (all arguments of a call) shares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Levels of nesting.
    pub depth: usize,
    /// Host memory of the values, counted as wasmtime counts its hostcall fuel: the size of a [`Val`] for each
    /// value, an element of `list<u8>` too, and the bytes of strings and of record, case and flag names.
    pub bytes: usize,
}

impl Limits {
    /// The usual depth (64), with the given number of bytes.
    pub const fn of_bytes(bytes: usize) -> Self {
        Self { depth: 64, bytes }
    }
}

/// Why a value was not converted: where it is, what was found there, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ValueError {
    /// The text is not JSON.
    #[error("not JSON: {reason} at line {line}, column {column}")]
    NotJson { reason: String, line: usize, column: usize },
    /// Another kind of JSON value than the type has.
    #[error("{path}: expected {expected}, found {found}")]
    Unexpected { path: String, expected: String, found: String },
    /// A number that the type cannot hold.
    #[error("{path}: {found} is out of range for {type_name}, which goes from {min} to {max}")]
    OutOfRange { path: String, type_name: &'static str, found: String, min: String, max: String },
    /// Fields that the object at `path` lacks.
    #[error("{path}: missing {}; the fields are {}", names(missing), names(fields))]
    MissingFields { path: String, missing: Vec<String>, fields: Vec<String> },
    /// Fields that the object at `path` has and its type does not.
    #[error("{path}: unknown {}; the fields are {}", names(unknown), names(fields))]
    UnknownFields { path: String, unknown: Vec<String>, fields: Vec<String> },
    /// One field under both of its spellings.
    #[error("{path}: {} and {} are the same field; give one of them", spellings[0], spellings[1])]
    RepeatedField { path: String, spellings: [String; 2] },
    /// Arguments that the function needs and that were not given.
    #[error("missing argument {}; the parameters are {}", names(missing), names(parameters))]
    MissingArguments { missing: Vec<String>, parameters: Vec<String> },
    /// Arguments by names that the function has no parameters for.
    #[error("unknown argument {}; the parameters are {}", names(unknown), names(parameters))]
    UnknownArguments { unknown: Vec<String>, parameters: Vec<String> },
    /// More arguments than the function has parameters.
    #[error("found {found} arguments, expected {}: {}", parameters.len(), names(parameters))]
    TooManyArguments { found: usize, parameters: Vec<String> },
    /// A name that is none of the type's cases or flags.
    #[error("{path}: unknown {what} {found}; there are {}", names(known))]
    UnknownName { path: String, what: &'static str, found: String, known: Vec<String> },
    /// A string that should be base64 and is not.
    #[error("{path}: expected bytes in base64, found {found}: {reason}")]
    NotBase64 { path: String, found: String, reason: String },
    /// Another number of elements than the type has.
    #[error("{path}: expected a length of {expected}, found {found}")]
    WrongLength { path: String, expected: usize, found: usize },
    /// Nested deeper than the limit allows.
    #[error("{path}: values are nested more than {limit} levels deep; flatten them")]
    TooDeep { path: String, limit: usize },
    /// Values that take more memory than the limit allows; `reached` is what they had come to at `path`.
    #[error("{path}: values come to {reached} bytes here, {} more than the limit of {limit}", reached.saturating_sub(*limit))]
    TooLarge { path: String, limit: usize, reached: usize },
    /// A kind of value that cannot leave its store.
    #[error("{path}: a value of type {type_name} cannot be given as JSON; it lives inside one instance")]
    Unsupported { path: String, type_name: &'static str },
    /// A component's value that is not of the type it was said to be; not the user's doing.
    #[error("{path}: a value of type {expected} was promised, the component gave {found}")]
    Mismatch { path: String, expected: String, found: &'static str },
}

type Outcome<T> = Result<T, ValueError>;

/// The JSON form of a component's value of the type `ty`.
pub fn to_json(value: &Val, ty: &Type, limits: Limits) -> Result<Value, ValueError> {
    Conversion::new(limits).lift(value, ty, &Path::ROOT)
}

/// The value of the type `ty` that `json` stands for.
pub fn from_json(json: &Value, ty: &Type, limits: Limits) -> Result<Val, ValueError> {
    Conversion::new(limits).lower(json, ty, &Path::ROOT)
}

/// The JSON array for values in order: the arguments that a component gave to a function it imports, or results.
pub fn values_to_json(values: &[Val], types: impl IntoIterator<Item = Type>, limits: Limits) -> Result<Value, ValueError> {
    let types: Vec<Type> = types.into_iter().collect();
    let mut conversion = Conversion::new(limits);
    let items = conversion.lift_each(values, &types, &Path::ROOT)?;
    Ok(Value::Array(items))
}

/// What the values come to, counted as everywhere here.
pub fn measure(values: &[Val], limits: Limits) -> Result<usize, ValueError> {
    let mut conversion = Conversion::new(limits);
    for (index, value) in values.iter().enumerate() {
        conversion.measure(value, &Path::ROOT.index(index))?;
    }
    Ok(conversion.bytes)
}

/// The name of what in the type cannot leave its store, if anything.
pub fn staying(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Own(_) | Type::Borrow(_) | Type::Future(_) | Type::Stream(_) | Type::ErrorContext => Some(type_name(ty)),
        Type::List(list) => staying(&list.ty()),
        Type::FixedLengthList(list) => staying(&list.ty()),
        Type::Map(map) => staying(&map.key()).or_else(|| staying(&map.value())),
        Type::Record(record) => record.fields().find_map(|field| staying(&field.ty)),
        Type::Tuple(tuple) => tuple.types().find_map(|ty| staying(&ty)),
        Type::Variant(variant) => variant.cases().find_map(|case| case.ty.and_then(|ty| staying(&ty))),
        Type::Option(option) => staying(&option.ty()),
        Type::Result(result) => [result.ok(), result.err()].into_iter().flatten().find_map(|ty| staying(&ty)),
        _ => None,
    }
}

/// Reads a JSON array of results, as many as there are types.
pub fn results_from_json(json: &str, types: impl IntoIterator<Item = Type>, limits: Limits) -> Result<Vec<Val>, ValueError> {
    let types: Vec<Type> = types.into_iter().collect();
    let json = parse(json, limits)?;
    Conversion::new(limits).lower_each(&json, &types, &Path::ROOT)
}

/// Reads the arguments of a call: a JSON array in the order of `params`, or an object by parameter name
/// (lowerCamelCase or as WIT has it). Parameters of an option type may be left out of an object, and off the end
/// of an array.
pub fn arguments_from_json<'a>(
    json: &str,
    params: impl IntoIterator<Item = (&'a str, Type)>,
    limits: Limits,
) -> Result<Vec<Val>, ValueError> {
    let params: Vec<(&str, Type)> = params.into_iter().collect();
    let mut conversion = Conversion::new(limits);
    match parse(json, limits)? {
        Value::Array(items) => conversion.arguments_by_order(&items, &params),
        Value::Object(fields) => conversion.arguments_by_name(&fields, &params),
        other => Err(ValueError::Unexpected {
            path: Path::ROOT.to_string(),
            expected: "an array of arguments, or an object of them by parameter name".into(),
            found: found(&other),
        }),
    }
}

/// A WIT name as JSON has it: `max-size` is `maxSize`. Different names of one WIT scope stay different, because
/// WIT names differ in more than case, and a word that starts with a digit keeps a `_` before it.
pub fn json_name(wit_name: &str) -> String {
    let mut words = wit_name.split('-');
    let mut name = words.next().unwrap_or_default().to_ascii_lowercase();
    for word in words {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        if first.starts_with(|c: char| c.is_ascii_digit()) {
            name.push('_');
        }
        name.push_str(&first.to_ascii_uppercase());
        name.push_str(&rest.to_ascii_lowercase());
    }
    name
}

fn parse(json: &str, limits: Limits) -> Outcome<Value> {
    serde_json::from_str(json).map_err(|error| {
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or_default();
        if reason == "recursion limit exceeded" {
            return ValueError::TooDeep { path: Path::ROOT.to_string(), limit: limits.depth };
        }
        ValueError::NotJson { reason: reason.to_owned(), line: error.line(), column: error.column() }
    })
}

/// The way from the root to the value at hand, kept on the stack and written out only for an error.
#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
    depth: usize,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl Path<'static> {
    const ROOT: Self = Path { parent: None, step: Step::Root, depth: 0 };
}

impl<'a> Path<'a> {
    fn key(&'a self, name: &'a str) -> Self {
        self.step(Step::Key(name))
    }

    fn index(&'a self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&'a self, step: Step<'a>) -> Self {
        Path { parent: Some(self), step, depth: self.depth + 1 }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => f.write_str("$"),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(name) if is_identifier(name) => write!(f, ".{name}"),
            Step::Key(name) => write!(f, "[{}]", quoted(name)),
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let word = |c: char| c == '_' || c.is_ascii_alphanumeric();
    !name.is_empty() && name.len() <= CHARACTERS_SHOWN && name.chars().all(word)
}

/// One conversion under way: its limits, and what its values have come to.
struct Conversion {
    limits: Limits,
    bytes: usize,
}

impl Conversion {
    fn new(limits: Limits) -> Self {
        Self { limits, bytes: 0 }
    }

    /// Counts the value at `at` itself, without what it holds.
    fn enter(&mut self, at: &Path) -> Outcome<()> {
        if at.depth > self.limits.depth {
            return Err(ValueError::TooDeep { path: at.to_string(), limit: self.limits.depth });
        }
        self.charge(size_of::<Val>(), at)
    }

    fn charge(&mut self, bytes: usize, at: &Path) -> Outcome<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= self.limits.bytes {
            return Ok(());
        }
        Err(ValueError::TooLarge { path: at.to_string(), limit: self.limits.bytes, reached: self.bytes })
    }

    fn charge_bytes_list(&mut self, length: usize, at: &Path) -> Outcome<()> {
        self.charge(length.saturating_mul(size_of::<Val>()), at)
    }
}

/// Counting, without a type at hand.
impl Conversion {
    fn measure(&mut self, value: &Val, at: &Path) -> Outcome<()> {
        self.enter(at)?;
        match value {
            Val::String(text) | Val::Enum(text) => self.charge(text.len(), at),
            Val::List(items) | Val::FixedLengthList(items) | Val::Tuple(items) => self.measure_each(items.iter(), at),
            Val::Map(entries) => self.measure_each(entries.iter().flat_map(|(key, value)| [key, value]), at),
            Val::Record(fields) => {
                for (name, value) in fields {
                    self.charge(name.len(), at)?;
                    self.measure(value, &at.key(name))?;
                }
                Ok(())
            }
            Val::Variant(name, payload) => {
                self.charge(name.len(), at)?;
                self.measure_each(payload.as_deref().into_iter(), at)
            }
            Val::Option(value) => self.measure_each(value.as_deref().into_iter(), at),
            Val::Result(Ok(value) | Err(value)) => self.measure_each(value.as_deref().into_iter(), at),
            Val::Flags(names) => self.charge(names.iter().map(String::len).sum(), at),
            _ => Ok(()),
        }
    }

    fn measure_each<'a>(&mut self, values: impl Iterator<Item = &'a Val>, at: &Path) -> Outcome<()> {
        for (index, value) in values.enumerate() {
            self.measure(value, &at.index(index))?;
        }
        Ok(())
    }
}

/// Lifting: from components to JSON.
impl Conversion {
    fn lift(&mut self, value: &Val, ty: &Type, at: &Path) -> Outcome<Value> {
        self.enter(at)?;
        match (value, ty) {
            (Val::Bool(value), Type::Bool) => Ok(Value::Bool(*value)),
            (Val::S8(value), Type::S8) => Ok(Value::from(*value)),
            (Val::U8(value), Type::U8) => Ok(Value::from(*value)),
            (Val::S16(value), Type::S16) => Ok(Value::from(*value)),
            (Val::U16(value), Type::U16) => Ok(Value::from(*value)),
            (Val::S32(value), Type::S32) => Ok(Value::from(*value)),
            (Val::U32(value), Type::U32) => Ok(Value::from(*value)),
            (Val::S64(value), Type::S64) => Ok(long_to_json(*value)),
            (Val::U64(value), Type::U64) => Ok(long_to_json(*value)),
            (Val::Float32(value), Type::Float32) => Ok(float_to_json(widened(*value))),
            (Val::Float64(value), Type::Float64) => Ok(float_to_json(*value)),
            (Val::Char(value), Type::Char) => Ok(Value::String(value.to_string())),
            (Val::String(value), Type::String) => self.lift_string(value, at),
            (Val::List(items), Type::List(list)) => self.lift_list(items, &list.ty(), at),
            (Val::FixedLengthList(items), Type::FixedLengthList(list)) => {
                same_length(list.len() as usize, items.len(), at)?;
                self.lift_list(items, &list.ty(), at)
            }
            (Val::Map(entries), Type::Map(map)) => self.lift_map(entries, map, at),
            (Val::Record(fields), Type::Record(record)) => self.lift_record(fields, record, at),
            (Val::Tuple(items), Type::Tuple(tuple)) => {
                let types: Vec<Type> = tuple.types().collect();
                Ok(Value::Array(self.lift_each(items, &types, at)?))
            }
            (Val::Variant(case, payload), Type::Variant(variant)) => self.lift_variant(case, payload.as_deref(), variant, at),
            (Val::Enum(name), Type::Enum(cases)) => self.lift_case(name, cases, at),
            (Val::Option(inner), Type::Option(option)) => self.lift_option(inner.as_deref(), &option.ty(), at),
            (Val::Result(outcome), Type::Result(result)) => self.lift_result(outcome, result, at),
            (Val::Flags(set), Type::Flags(flags)) => self.lift_flags(set, flags, at),
            (value, ty) => Err(refused(ty, at).unwrap_or_else(|| mismatch(ty, value, at))),
        }
    }

    fn lift_string(&mut self, text: &str, at: &Path) -> Outcome<Value> {
        self.charge(text.len(), at)?;
        Ok(Value::String(text.to_owned()))
    }

    fn lift_list(&mut self, items: &[Val], ty: &Type, at: &Path) -> Outcome<Value> {
        if matches!(ty, Type::U8) {
            return self.lift_bytes(items, at);
        }
        let convert = |(index, item)| self.lift(item, ty, &at.index(index));
        let items: Outcome<Vec<Value>> = items.iter().enumerate().map(convert).collect();
        Ok(Value::Array(items?))
    }

    fn lift_bytes(&mut self, items: &[Val], at: &Path) -> Outcome<Value> {
        self.charge_bytes_list(items.len(), at)?;
        let byte = |(index, item): (usize, &Val)| match item {
            Val::U8(byte) => Ok(*byte),
            other => Err(mismatch(&Type::U8, other, &at.index(index))),
        };
        let bytes: Outcome<Vec<u8>> = items.iter().enumerate().map(byte).collect();
        Ok(Value::String(base64::encode(&bytes?)))
    }

    fn lift_map(&mut self, entries: &[(Val, Val)], map: &types::Map, at: &Path) -> Outcome<Value> {
        let (key_type, value_type) = (map.key(), map.value());
        let mut pairs = Vec::with_capacity(entries.len());
        for (index, (key, value)) in entries.iter().enumerate() {
            let here = at.index(index);
            let key = self.lift(key, &key_type, &here.index(0))?;
            let value = self.lift(value, &value_type, &here.index(1))?;
            pairs.push(Value::Array(vec![key, value]));
        }
        Ok(Value::Array(pairs))
    }

    fn lift_record(&mut self, values: &[(String, Val)], record: &types::Record, at: &Path) -> Outcome<Value> {
        same_length(record.fields().len(), values.len(), at)?;
        let mut object = Map::new();
        for ((name, value), field) in values.iter().zip(record.fields()) {
            if name != field.name {
                return Err(unknown_name(name, record.fields().map(|f| f.name), "field", at));
            }
            let key = json_name(name);
            let here = at.key(&key);
            self.charge(name.len(), &here)?;
            let value = self.lift(value, &field.ty, &here)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }

    /// Values in order, each of its own type.
    fn lift_each(&mut self, values: &[Val], types: &[Type], at: &Path) -> Outcome<Vec<Value>> {
        same_length(types.len(), values.len(), at)?;
        let pairs = values.iter().zip(types).enumerate();
        pairs.map(|(index, (value, ty))| self.lift(value, ty, &at.index(index))).collect()
    }

    fn lift_variant(&mut self, name: &str, payload: Option<&Val>, variant: &types::Variant, at: &Path) -> Outcome<Value> {
        let Some(case) = variant.cases().find(|case| case.name == name) else {
            return Err(unknown_name(name, variant.cases().map(|case| case.name), "case", at));
        };
        self.charge(name.len(), at)?;
        self.lift_tagged(name, payload, case.ty.as_ref(), at)
    }

    fn lift_result(
        &mut self,
        outcome: &Result<Option<Box<Val>>, Option<Box<Val>>>,
        result: &types::ResultType,
        at: &Path,
    ) -> Outcome<Value> {
        match outcome {
            Ok(value) => self.lift_tagged("ok", value.as_deref(), result.ok().as_ref(), at),
            Err(value) => self.lift_tagged("err", value.as_deref(), result.err().as_ref(), at),
        }
    }

    fn lift_option(&mut self, inner: Option<&Val>, ty: &Type, at: &Path) -> Outcome<Value> {
        match inner {
            None => Ok(Value::Null),
            Some(value) if is_option(ty) => self.lift_tagged("some", Some(value), Some(ty), at),
            Some(value) => self.lift(value, ty, at),
        }
    }

    fn lift_tagged(&mut self, tag: &str, payload: Option<&Val>, ty: Option<&Type>, at: &Path) -> Outcome<Value> {
        let mut object = Map::new();
        object.insert("tag".into(), Value::String(tag.to_owned()));
        match (payload, ty) {
            (None, None) => {}
            (Some(value), Some(ty)) => {
                let value = self.lift(value, ty, &at.key("val"))?;
                object.insert("val".into(), value);
            }
            (payload, ty) => return Err(payload_mismatch(payload, ty, at)),
        }
        Ok(Value::Object(object))
    }

    fn lift_case(&mut self, name: &str, cases: &types::Enum, at: &Path) -> Outcome<Value> {
        if !cases.names().any(|case| case == name) {
            return Err(unknown_name(name, cases.names(), "case", at));
        }
        self.lift_string(name, at)
    }

    /// Flags in the order of their declaration.
    fn lift_flags(&mut self, set: &[String], flags: &types::Flags, at: &Path) -> Outcome<Value> {
        for name in set {
            if !flags.names().any(|known| known == name) {
                return Err(unknown_name(name, flags.names(), "flag", at));
            }
            self.charge(name.len(), at)?;
        }
        let set = flags.names().filter(|known| set.iter().any(|name| name == known));
        Ok(Value::Array(set.map(Value::from).collect()))
    }
}

/// Lowering: from JSON to components.
impl Conversion {
    fn arguments_by_order(&mut self, items: &[Value], params: &[(&str, Type)]) -> Outcome<Vec<Val>> {
        if items.len() > params.len() {
            let parameters = parameter_names(params);
            return Err(ValueError::TooManyArguments { found: items.len(), parameters });
        }
        let given = (0..params.len()).map(|index| items.get(index));
        self.arguments(given, params, |index| Path::ROOT.index(index))
    }

    fn arguments_by_name(&mut self, object: &Map<String, Value>, params: &[(&str, Type)]) -> Outcome<Vec<Val>> {
        let wit_names = || params.iter().map(|(name, _)| *name);
        let unknown = unknown_keys(object, wit_names());
        if !unknown.is_empty() {
            let parameters = parameter_names(params);
            return Err(ValueError::UnknownArguments { unknown, parameters });
        }
        let names: Vec<String> = wit_names().map(json_name).collect();
        let given: Outcome<Vec<_>> = wit_names().map(|name| field(object, name, &Path::ROOT)).collect();
        self.arguments(given?.into_iter(), params, |index| Path::ROOT.key(&names[index]))
    }

    /// One value for each parameter, from what was given for it.
    fn arguments<'j, 'p>(
        &mut self,
        given: impl Iterator<Item = Option<&'j Value>>,
        params: &[(&str, Type)],
        path: impl Fn(usize) -> Path<'p>,
    ) -> Outcome<Vec<Val>> {
        let mut values = Vec::with_capacity(params.len());
        let mut missing = Vec::new();
        for (index, ((name, ty), json)) in params.iter().zip(given).enumerate() {
            match json {
                Some(json) => values.push(self.lower(json, ty, &path(index))?),
                None if is_option(ty) => values.push(Val::Option(None)),
                None => missing.push(json_name(name)),
            }
        }
        if missing.is_empty() {
            return Ok(values);
        }
        Err(ValueError::MissingArguments { missing, parameters: parameter_names(params) })
    }

    fn lower(&mut self, json: &Value, ty: &Type, at: &Path) -> Outcome<Val> {
        self.enter(at)?;
        match ty {
            Type::Bool => json.as_bool().map(Val::Bool).ok_or_else(|| unexpected(json, ty, at)),
            Type::S8 => whole(json, ty, at).map(Val::S8),
            Type::U8 => whole(json, ty, at).map(Val::U8),
            Type::S16 => whole(json, ty, at).map(Val::S16),
            Type::U16 => whole(json, ty, at).map(Val::U16),
            Type::S32 => whole(json, ty, at).map(Val::S32),
            Type::U32 => whole(json, ty, at).map(Val::U32),
            Type::S64 => whole(json, ty, at).map(Val::S64),
            Type::U64 => whole(json, ty, at).map(Val::U64),
            Type::Float32 => float32(json, ty, at).map(Val::Float32),
            Type::Float64 => float64(json, ty, at).map(Val::Float64),
            Type::Char => character(json, ty, at).map(Val::Char),
            Type::String => self.lower_string(json, ty, at).map(Val::String),
            Type::List(list) => self.lower_list(json, ty, &list.ty(), at).map(Val::List),
            Type::FixedLengthList(list) => {
                let items = self.lower_list(json, ty, &list.ty(), at)?;
                same_length(list.len() as usize, items.len(), at)?;
                Ok(Val::FixedLengthList(items))
            }
            Type::Map(map) => self.lower_map(json, ty, map, at).map(Val::Map),
            Type::Record(record) => self.lower_record(json, ty, record, at).map(Val::Record),
            Type::Tuple(tuple) => {
                let types: Vec<Type> = tuple.types().collect();
                self.lower_each(json, &types, at).map(Val::Tuple)
            }
            Type::Variant(variant) => self.lower_variant(json, ty, variant, at),
            Type::Enum(cases) => self.lower_case(json, ty, cases, at).map(Val::Enum),
            Type::Option(option) => self.lower_option(json, ty, &option.ty(), at),
            Type::Result(result) => self.lower_result(json, ty, result, at),
            Type::Flags(flags) => self.lower_flags(json, ty, flags, at).map(Val::Flags),
            Type::Own(_) | Type::Borrow(_) | Type::Future(_) | Type::Stream(_) | Type::ErrorContext => Err(unsupported(ty, at)),
        }
    }

    fn lower_string(&mut self, json: &Value, ty: &Type, at: &Path) -> Outcome<String> {
        let text = string(json, ty, at)?;
        self.charge(text.len(), at)?;
        Ok(text.to_owned())
    }

    fn lower_list(&mut self, json: &Value, ty: &Type, element: &Type, at: &Path) -> Outcome<Vec<Val>> {
        if matches!(element, Type::U8) {
            return self.lower_bytes(json, ty, at);
        }
        let items = array(json, ty, at)?.iter().enumerate();
        items.map(|(index, item)| self.lower(item, element, &at.index(index))).collect()
    }

    fn lower_bytes(&mut self, json: &Value, ty: &Type, at: &Path) -> Outcome<Vec<Val>> {
        let text = string(json, ty, at)?;
        self.charge_bytes_list(base64::decoded_length(text), at)?;
        let bytes = base64::decode(text).map_err(|reason| ValueError::NotBase64 { path: at.to_string(), found: quoted(text), reason })?;
        Ok(bytes.into_iter().map(Val::U8).collect())
    }

    fn lower_map(&mut self, json: &Value, ty: &Type, map: &types::Map, at: &Path) -> Outcome<Vec<(Val, Val)>> {
        let (key, value) = (map.key(), map.value());
        if let (Value::Object(object), Type::String) = (json, &key) {
            return self.lower_map_object(object, &value, at);
        }
        let types = [key, value];
        let mut entries = Vec::new();
        for (index, pair) in array(json, ty, at)?.iter().enumerate() {
            let here = at.index(index);
            let mut pair = self.lower_each(pair, &types, &here)?.into_iter();
            entries.extend(pair.next().zip(pair.next()));
        }
        Ok(entries)
    }

    fn lower_map_object(&mut self, object: &Map<String, Value>, ty: &Type, at: &Path) -> Outcome<Vec<(Val, Val)>> {
        let mut entries = Vec::with_capacity(object.len());
        for (key, value) in object {
            let here = at.key(key);
            self.enter(&here)?;
            self.charge(key.len(), &here)?;
            entries.push((Val::String(key.clone()), self.lower(value, ty, &here)?));
        }
        Ok(entries)
    }

    fn lower_record(&mut self, json: &Value, ty: &Type, record: &types::Record, at: &Path) -> Outcome<Vec<(String, Val)>> {
        let object = json.as_object().ok_or_else(|| unexpected(json, ty, at))?;
        let fields: Vec<types::Field> = record.fields().collect();
        let names = fields.iter().map(|field| field.name);
        let unknown = unknown_keys(object, names.clone());
        if !unknown.is_empty() {
            let fields = names.map(json_name).collect();
            return Err(ValueError::UnknownFields { path: at.to_string(), unknown, fields });
        }
        let mut values = Vec::with_capacity(fields.len());
        let mut missing = Vec::new();
        for wanted in &fields {
            match self.lower_field(object, wanted, at)? {
                Some(value) => values.push((wanted.name.to_owned(), value)),
                None => missing.push(json_name(wanted.name)),
            }
        }
        if missing.is_empty() {
            return Ok(values);
        }
        let fields = names.map(json_name).collect();
        Err(ValueError::MissingFields { path: at.to_string(), missing, fields })
    }

    /// The value of one field of the object; `None` when it is missing and must not be.
    fn lower_field(&mut self, object: &Map<String, Value>, wanted: &types::Field, at: &Path) -> Outcome<Option<Val>> {
        let key = json_name(wanted.name);
        let here = at.key(&key);
        self.charge(wanted.name.len(), &here)?;
        match field(object, wanted.name, at)? {
            Some(json) => self.lower(json, &wanted.ty, &here).map(Some),
            None if is_option(&wanted.ty) => Ok(Some(Val::Option(None))),
            None => Ok(None),
        }
    }

    /// An array of as many elements as there are types.
    fn lower_each(&mut self, json: &Value, types: &[Type], at: &Path) -> Outcome<Vec<Val>> {
        let Value::Array(items) = json else {
            let expected = format!("an array of {}", types.len());
            return Err(ValueError::Unexpected { path: at.to_string(), expected, found: found(json) });
        };
        same_length(types.len(), items.len(), at)?;
        let pairs = items.iter().zip(types).enumerate();
        pairs.map(|(index, (item, ty))| self.lower(item, ty, &at.index(index))).collect()
    }

    fn lower_variant(&mut self, json: &Value, ty: &Type, variant: &types::Variant, at: &Path) -> Outcome<Val> {
        let (tag, payload) = tagged(json, ty, at)?;
        let Some(case) = variant.cases().find(|case| case.name == tag) else {
            let known = variant.cases().map(|case| case.name);
            return Err(unknown_name(tag, known, "case", &at.key("tag")));
        };
        self.charge(tag.len(), at)?;
        let payload = self.lower_payload(payload, case.ty.as_ref(), at)?;
        Ok(Val::Variant(tag.to_owned(), payload))
    }

    fn lower_result(&mut self, json: &Value, ty: &Type, result: &types::ResultType, at: &Path) -> Outcome<Val> {
        let (tag, payload) = tagged(json, ty, at)?;
        let outcome = match tag {
            "ok" => Ok(self.lower_payload(payload, result.ok().as_ref(), at)?),
            "err" => Err(self.lower_payload(payload, result.err().as_ref(), at)?),
            _ => {
                return Err(unknown_name(tag, ["ok", "err"].into_iter(), "case", &at.key("tag")));
            }
        };
        Ok(Val::Result(outcome))
    }

    fn lower_option(&mut self, json: &Value, ty: &Type, inner: &Type, at: &Path) -> Outcome<Val> {
        if json.is_null() {
            return Ok(Val::Option(None));
        }
        if !is_option(inner) {
            let value = self.lower(json, inner, at)?;
            return Ok(Val::Option(Some(Box::new(value))));
        }
        match tagged(json, ty, at)? {
            ("some", payload) => Ok(Val::Option(self.lower_payload(payload, Some(inner), at)?)),
            (tag, _) => Err(unknown_name(tag, ["some"].into_iter(), "case", &at.key("tag"))),
        }
    }

    fn lower_payload(&mut self, payload: Option<&Value>, ty: Option<&Type>, at: &Path) -> Outcome<Option<Box<Val>>> {
        let value = match (payload, ty) {
            (None | Some(Value::Null), None) => return Ok(None),
            (Some(payload), Some(ty)) => self.lower(payload, ty, &at.key("val"))?,
            (None, Some(ty)) if is_option(ty) => Val::Option(None),
            (None, Some(_)) => return Err(missing_payload(at)),
            (Some(payload), None) => return Err(superfluous_payload(payload, at)),
        };
        Ok(Some(Box::new(value)))
    }

    fn lower_case(&mut self, json: &Value, ty: &Type, cases: &types::Enum, at: &Path) -> Outcome<String> {
        let name = self.lower_string(json, ty, at)?;
        if cases.names().any(|case| case == name) {
            return Ok(name);
        }
        Err(unknown_name(&name, cases.names(), "case", at))
    }

    /// Flags in the order of their declaration, each once.
    fn lower_flags(&mut self, json: &Value, ty: &Type, flags: &types::Flags, at: &Path) -> Outcome<Vec<String>> {
        let mut given = Vec::new();
        for (index, item) in array(json, ty, at)?.iter().enumerate() {
            let here = at.index(index);
            let name = string(item, &Type::String, &here)?;
            if !flags.names().any(|flag| flag == name) {
                return Err(unknown_name(name, flags.names(), "flag", &here));
            }
            self.charge(name.len(), &here)?;
            given.push(name);
        }
        Ok(flags.names().filter(|flag| given.contains(flag)).map(str::to_owned).collect())
    }
}

fn is_option(ty: &Type) -> bool {
    matches!(ty, Type::Option(_))
}

fn string<'j>(json: &'j Value, ty: &Type, at: &Path) -> Outcome<&'j str> {
    json.as_str().ok_or_else(|| unexpected(json, ty, at))
}

fn array<'j>(json: &'j Value, ty: &Type, at: &Path) -> Outcome<&'j [Value]> {
    json.as_array().map(Vec::as_slice).ok_or_else(|| unexpected(json, ty, at))
}

/// The value of a field under either spelling of its name.
fn field<'j>(object: &'j Map<String, Value>, wit_name: &str, at: &Path) -> Outcome<Option<&'j Value>> {
    let name = json_name(wit_name);
    if name == wit_name {
        return Ok(object.get(wit_name));
    }
    match (object.get(&name), object.get(wit_name)) {
        (Some(_), Some(_)) => {
            let spellings = [name, wit_name.to_owned()];
            Err(ValueError::RepeatedField { path: at.to_string(), spellings })
        }
        (value, other) => Ok(value.or(other)),
    }
}

/// Keys of the object that are no spelling of any of the names.
fn unknown_keys<'n>(object: &Map<String, Value>, wit_names: impl Iterator<Item = &'n str> + Clone) -> Vec<String> {
    let spellings = |name: &str| {
        let json = json_name(name);
        usize::from(object.contains_key(&json)) + usize::from(json != name && object.contains_key(name))
    };
    if wit_names.clone().map(spellings).sum::<usize>() == object.len() {
        return Vec::new();
    }
    let known: HashSet<String> = wit_names.flat_map(|name| [json_name(name), name.to_owned()]).collect();
    object.keys().filter(|key| !known.contains(*key)).cloned().collect()
}

fn parameter_names(params: &[(&str, Type)]) -> Vec<String> {
    params.iter().map(|(name, _)| json_name(name)).collect()
}

/// Takes `{"tag": …, "val": …}` apart.
fn tagged<'j>(json: &'j Value, ty: &Type, at: &Path) -> Outcome<(&'j str, Option<&'j Value>)> {
    let object = json.as_object().ok_or_else(|| unexpected(json, ty, at))?;
    let Some(Value::String(tag)) = object.get("tag") else {
        return Err(unexpected(json, ty, at));
    };
    let unknown = unknown_keys(object, ["tag", "val"].into_iter());
    if unknown.is_empty() {
        return Ok((tag, object.get("val")));
    }
    let fields = vec!["tag".to_owned(), "val".to_owned()];
    Err(ValueError::UnknownFields { path: at.to_string(), unknown, fields })
}

/// The 64-bit integers: a number when JavaScript's hold it exactly.
fn long_to_json(value: impl Into<i128>) -> Value {
    let value = value.into();
    match i64::try_from(value) {
        Ok(number) if value.abs() <= MAX_SAFE => Value::from(number),
        _ => Value::String(value.to_string()),
    }
}

/// The `f64` that reads as the shortest decimal of an `f32`, and comes back as the same `f32`.
fn widened(value: f32) -> f64 {
    match value.to_string().parse::<f64>() {
        Ok(short) if short as f32 == value => short,
        _ => f64::from(value),
    }
}

fn float_to_json(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => Value::from("NaN"),
        None if value > 0.0 => Value::from("Infinity"),
        None => Value::from("-Infinity"),
    }
}

/// The integer types, as far as their ranges go.
trait Whole: TryFrom<i128> {
    const MIN: i128;
    const MAX: i128;
    const LONG: bool = Self::MAX > MAX_SAFE;
}

macro_rules! whole {
    ($($ty:ty)*) => {
        $(impl Whole for $ty {
            const MIN: i128 = <$ty>::MIN as i128;
            const MAX: i128 = <$ty>::MAX as i128;
        })*
    };
}
whole!(u8 i8 u16 i16 u32 i32 u64 i64);

fn whole<T: Whole>(json: &Value, ty: &Type, at: &Path) -> Outcome<T> {
    let number = match json {
        Value::Number(number) => whole_number(number),
        Value::String(digits) if T::LONG => decimal(digits),
        _ => None,
    };
    let number = number.ok_or_else(|| unexpected(json, ty, at))?;
    T::try_from(number).map_err(|_| ValueError::OutOfRange {
        path: at.to_string(),
        type_name: type_name(ty),
        found: found(json),
        min: T::MIN.to_string(),
        max: T::MAX.to_string(),
    })
}

/// A JSON number without a fraction. Those that JSON itself could only keep as a rounded float pass only when they
/// are too large for every integer type, so that they are refused by their range.
fn whole_number(number: &Number) -> Option<i128> {
    if let Some(value) = number.as_i64() {
        return Some(value.into());
    }
    if let Some(value) = number.as_u64() {
        return Some(value.into());
    }
    let value = number.as_f64()?;
    let whole = value as i128;
    let exact = whole.unsigned_abs() <= MAX_SAFE.unsigned_abs();
    let beyond = whole > u64::MAX.into() || whole < i64::MIN.into();
    (value.fract() == 0.0 && (exact || beyond)).then_some(whole)
}

fn decimal(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than an i128 holds are out of every range; any value beyond them all says so.
    plain.then(|| text.parse().unwrap_or(i128::MAX))
}

fn float64(json: &Value, ty: &Type, at: &Path) -> Outcome<f64> {
    let value = match json {
        Value::Number(number) => number.as_f64(),
        Value::String(name) => float_by_name(name),
        _ => None,
    };
    value.ok_or_else(|| unexpected(json, ty, at))
}

fn float32(json: &Value, ty: &Type, at: &Path) -> Outcome<f32> {
    let value = float64(json, ty, at)?;
    let narrow = value as f32;
    if narrow.is_finite() || !value.is_finite() {
        return Ok(narrow);
    }
    Err(ValueError::OutOfRange {
        path: at.to_string(),
        type_name: type_name(ty),
        found: found(json),
        min: format!("{:e}", f32::MIN),
        max: format!("{:e}", f32::MAX),
    })
}

fn float_by_name(name: &str) -> Option<f64> {
    match name {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn character(json: &Value, ty: &Type, at: &Path) -> Outcome<char> {
    let mut characters = json.as_str().unwrap_or_default().chars();
    match (characters.next(), characters.next()) {
        (Some(character), None) => Ok(character),
        _ => Err(unexpected(json, ty, at)),
    }
}

fn same_length(expected: usize, found: usize, at: &Path) -> Outcome<()> {
    if expected == found {
        return Ok(());
    }
    Err(ValueError::WrongLength { path: at.to_string(), expected, found })
}

fn unexpected(json: &Value, ty: &Type, at: &Path) -> ValueError {
    ValueError::Unexpected { path: at.to_string(), expected: expected(ty), found: found(json) }
}

fn missing_payload(at: &Path) -> ValueError {
    ValueError::MissingFields { path: at.to_string(), missing: vec!["val".into()], fields: vec!["tag".into(), "val".into()] }
}

fn superfluous_payload(payload: &Value, at: &Path) -> ValueError {
    ValueError::Unexpected {
        path: at.key("val").to_string(),
        expected: "nothing, as this case carries no value".into(),
        found: found(payload),
    }
}

fn unknown_name<'n>(name: &str, known: impl Iterator<Item = &'n str>, what: &'static str, at: &Path) -> ValueError {
    let known = known.map(str::to_owned).collect();
    ValueError::UnknownName { path: at.to_string(), what, found: quoted(name), known }
}

fn refused(ty: &Type, at: &Path) -> Option<ValueError> {
    use Type::{Borrow, ErrorContext, Future, Own, Stream};
    let stays = matches!(ty, Own(_) | Borrow(_) | Future(_) | Stream(_) | ErrorContext);
    stays.then(|| unsupported(ty, at))
}

fn unsupported(ty: &Type, at: &Path) -> ValueError {
    ValueError::Unsupported { path: at.to_string(), type_name: type_name(ty) }
}

fn mismatch(ty: &Type, value: &Val, at: &Path) -> ValueError {
    let expected = type_name(ty).to_owned();
    ValueError::Mismatch { path: at.to_string(), expected, found: value_name(value) }
}

fn payload_mismatch(payload: Option<&Val>, ty: Option<&Type>, at: &Path) -> ValueError {
    ValueError::Mismatch {
        path: at.key("val").to_string(),
        expected: ty.map_or("nothing", type_name).to_owned(),
        found: payload.map_or("nothing", value_name),
    }
}

/// What would be right where a value of this type is wanted.
fn expected(ty: &Type) -> String {
    match ty {
        Type::Bool => "true or false".into(),
        Type::S64 | Type::U64 => {
            format!("a whole number, as a string of digits beyond {MAX_SAFE} ({})", type_name(ty))
        }
        Type::S8 | Type::U8 | Type::S16 | Type::U16 | Type::S32 | Type::U32 => {
            format!("a whole number ({})", type_name(ty))
        }
        Type::Float32 | Type::Float64 => {
            format!(r#"a number, or "NaN", "Infinity" or "-Infinity" ({})"#, type_name(ty))
        }
        Type::Char => "a string of one character".into(),
        Type::String => "a string".into(),
        Type::List(list) => expected_list(&list.ty()),
        Type::FixedLengthList(list) => format!("{} of {}", expected_list(&list.ty()), list.len()),
        Type::Map(map) if matches!(map.key(), Type::String) => "an object, or an array of [key, value] pairs".into(),
        Type::Map(_) => "an array of [key, value] pairs".into(),
        Type::Record(record) => {
            format!("an object with the fields {}", listed(record.fields().map(|f| json_name(f.name))))
        }
        Type::Tuple(tuple) => format!("an array of {}", tuple.types().len()),
        Type::Variant(variant) => expected_tagged(variant.cases().map(|case| case.name.to_owned())),
        Type::Enum(cases) => format!("one of the strings {}", listed(cases.names().map(str::to_owned))),
        Type::Option(option) if is_option(&option.ty()) => r#"null, or {"tag": "some", "val": …}"#.into(),
        Type::Option(option) => format!("null, or {}", expected(&option.ty())),
        Type::Result(_) => expected_tagged(["ok", "err"].map(str::to_owned).into_iter()),
        Type::Flags(flags) => format!("an array of names out of {}", listed(flags.names().map(str::to_owned))),
        other => format!("no value at all, as {} cannot be given", type_name(other)),
    }
}

fn expected_list(element: &Type) -> String {
    match element {
        Type::U8 => "a string of bytes in base64".into(),
        _ => "an array".into(),
    }
}

fn expected_tagged(tags: impl Iterator<Item = String>) -> String {
    format!(r#"{{"tag": …, "val": …}} with one of the tags {}"#, listed(tags))
}

/// A JSON value as a message repeats it: short ones as they are, others by their kind.
fn found(json: &Value) -> String {
    match json {
        Value::Null | Value::Bool(_) | Value::Number(_) => json.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(object) if object.is_empty() => "an empty object".into(),
        Value::Object(object) => format!("an object with {}", listed(object.keys().cloned())),
    }
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(CHARACTERS_SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}… ({} bytes)", &text[..end], text.len()),
    }
}

fn names(all: &[String]) -> String {
    listed(all.iter().cloned())
}

/// The names with commas between them, quoted where they are not plain; many are cut short and counted.
fn listed(mut all: impl Iterator<Item = String>) -> String {
    let plain = |name: &String| name.split('-').all(is_identifier);
    let show = |name: String| if plain(&name) { name } else { quoted(&name) };
    let shown: Vec<String> = all.by_ref().take(NAMES_SHOWN).map(show).collect();
    let more = all.count();
    match (shown.is_empty(), more) {
        (true, _) => "none".into(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

fn type_name(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::S8 => "s8",
        Type::U8 => "u8",
        Type::S16 => "s16",
        Type::U16 => "u16",
        Type::S32 => "s32",
        Type::U32 => "u32",
        Type::S64 => "s64",
        Type::U64 => "u64",
        Type::Float32 => "f32",
        Type::Float64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::List(_) | Type::FixedLengthList(_) => "list",
        Type::Map(_) => "map",
        Type::Record(_) => "record",
        Type::Tuple(_) => "tuple",
        Type::Variant(_) => "variant",
        Type::Enum(_) => "enum",
        Type::Option(_) => "option",
        Type::Result(_) => "result",
        Type::Flags(_) => "flags",
        Type::Own(_) => "resource",
        Type::Borrow(_) => "borrowed resource",
        Type::Future(_) => "future",
        Type::Stream(_) => "stream",
        Type::ErrorContext => "error-context",
    }
}

fn value_name(value: &Val) -> &'static str {
    match value {
        Val::Bool(_) => "bool",
        Val::S8(_) => "s8",
        Val::U8(_) => "u8",
        Val::S16(_) => "s16",
        Val::U16(_) => "u16",
        Val::S32(_) => "s32",
        Val::U32(_) => "u32",
        Val::S64(_) => "s64",
        Val::U64(_) => "u64",
        Val::Float32(_) => "f32",
        Val::Float64(_) => "f64",
        Val::Char(_) => "char",
        Val::String(_) => "string",
        Val::List(_) | Val::FixedLengthList(_) => "list",
        Val::Map(_) => "map",
        Val::Record(_) => "record",
        Val::Tuple(_) => "tuple",
        Val::Variant(..) => "variant",
        Val::Enum(_) => "enum",
        Val::Option(_) => "option",
        Val::Result(_) => "result",
        Val::Flags(_) => "flags",
        Val::Resource(_) => "resource",
        Val::Future(_) => "future",
        Val::Stream(_) => "stream",
        Val::ErrorContext(_) => "error-context",
    }
}

/// Base64 of RFC 4648, section 4: the standard alphabet, padded when written.
pub(crate) mod base64 {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    pub fn encode(bytes: &[u8]) -> String {
        let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
        for chunk in bytes.chunks(3) {
            let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for place in 0..4 {
                let digit = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
                text.push(if place <= chunk.len() { digit.into() } else { '=' });
            }
        }
        text
    }

    /// Most bytes that the text can stand for.
    pub fn decoded_length(text: &str) -> usize {
        digits(text).len() / 4 * 3 + 2
    }

    /// The bytes, or why the text is not base64. Padding may be missing; bits that mean nothing must be zero.
    pub fn decode(text: &str) -> Result<Vec<u8>, String> {
        let digits = digits(text);
        let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
        for (index, chunk) in digits.as_bytes().chunks(4).enumerate() {
            decode_chunk(chunk, index * 4, text, &mut bytes)?;
        }
        let padding = text.len() - digits.len();
        if padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) {
            return Err(format!("{} characters are not followed by {padding} of padding", digits.len()));
        }
        Ok(bytes)
    }

    fn digits(text: &str) -> &str {
        text.trim_end_matches('=')
    }

    fn decode_chunk(chunk: &[u8], at: usize, text: &str, bytes: &mut Vec<u8>) -> Result<(), String> {
        let mut bits = 0u32;
        for (index, &digit) in chunk.iter().enumerate() {
            let value = value(digit).ok_or_else(|| foreign(text, at + index))?;
            bits |= value << (18 - 6 * index);
        }
        let length = match chunk.len() {
            4 => 3,
            3 if bits & 0xff == 0 => 2,
            2 if bits & 0xffff == 0 => 1,
            1 => return Err("it ends in the middle of a byte".into()),
            _ => return Err("its last character has bits that belong to no byte".into()),
        };
        bytes.extend_from_slice(&bits.to_be_bytes()[1..][..length]);
        Ok(())
    }

    fn value(digit: u8) -> Option<u32> {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        Some(value.into())
    }

    fn foreign(text: &str, at: usize) -> String {
        // The place is the first byte of a character: all bytes before it were ASCII.
        let character = text[at..].chars().next().unwrap_or_default();
        format!("{character:?} at {at} is none of A-Z, a-z, 0-9, + and /")
    }
}
