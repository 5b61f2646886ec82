//! What a component is, read from its type: the interfaces it imports and exports, their functions with types
//! written as WIT text, and what it can be run as. Serialised, it is `ComponentInfo` of `src/engine/program.ts`
//! without the parts that `load` adds (digest, cache, sizes).
//!
//! Only names, functions and resources are told. Types that an interface merely names are written out where a
//! function uses them, and imported or exported core modules and components have no place in the description.

use std::fmt::Write;

use serde::Serialize;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};
use wasmtime::component::{Component, ResourceType, Type};

/// Characters of one type after which its parts are only named (`record { … }`): a type that uses a large one
/// many times would otherwise be written out as often.
const TYPE_TEXT: usize = 2_000;
/// Instances inside instances that are told, by depth. WIT has none; hand-written components may.
const NESTING: usize = 8;

/// A component's imports, exports and ways to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// What the component needs, in its own order; functions of the world itself come first, under the name "".
    pub imports: Vec<Interface>,
    /// What it offers, likewise.
    pub exports: Vec<Interface>,
    pub runs: Runs,
}

/// An interface, or (with the empty name) the world itself. An instance inside an instance is `outer/inner`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Interface {
    pub name: String,
    pub functions: Vec<Function>,
    pub resources: Vec<String>,
}

/// A function under its full name: methods are `[method]resource.name`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Function {
    pub name: String,
    /// Declared `async func`.
    #[serde(rename = "async")]
    pub is_async: bool,
    pub parameters: Vec<Parameter>,
    /// Left out when the function returns nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// A parameter with its type as WIT text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    pub name: String,
    #[serde(rename = "type")]
    pub type_text: String,
}

/// The versions of the well-known entry points that a component exports; left out where it has none.
/// Of a component that has both, the newer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Runs {
    /// `wasi:http/incoming-handler@0.2.x` or `wasi:http/handler@0.3.x`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Version>,
    /// `wasi:cli/run` of either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Version>,
}

/// A line of WASI releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Version {
    #[serde(rename = "0.2")]
    V02,
    #[serde(rename = "0.3")]
    V03,
}

/// Describes a component by its type alone; nothing is instantiated.
pub fn describe(component: &Component, engine: &Engine) -> Description {
    let ty = component.component_type();
    let imports: Vec<Item> = ty.imports(engine).map(|(name, item)| (name, item.ty)).collect();
    let exports: Vec<Item> = ty.exports(engine).map(|(name, item)| (name, item.ty)).collect();
    let mut text = TypeText::default();
    for (name, item) in imports.iter().chain(&exports) {
        text.learn(name, item, engine);
    }
    let exports = interfaces(&exports, engine, &text);
    let runs = runs(&exports);
    Description { imports: interfaces(&imports, engine, &text), exports, runs }
}

type Item<'a> = (&'a str, ComponentItem);

fn interfaces(items: &[Item], engine: &Engine, text: &TypeText) -> Vec<Interface> {
    let mut world = Interface::default();
    let mut found = Vec::new();
    for (name, item) in items {
        match item {
            ComponentItem::ComponentInstance(instance) => {
                add_instance(name, instance, engine, text, 0, &mut found);
            }
            other => world.add(name, other, text),
        }
    }
    if !world.functions.is_empty() || !world.resources.is_empty() {
        found.insert(0, world);
    }
    found
}

/// Adds an instance and, after it, the instances inside it.
fn add_instance(name: &str, instance: &ComponentInstance, engine: &Engine, text: &TypeText, depth: usize, found: &mut Vec<Interface>) {
    let mut interface = Interface { name: name.to_owned(), ..Interface::default() };
    let mut inside = Vec::new();
    for (name, item) in instance.exports(engine) {
        match item.ty {
            ComponentItem::ComponentInstance(inner) if depth < NESTING => inside.push((name, inner)),
            item => interface.add(name, &item, text),
        }
    }
    found.push(interface);
    for (inner_name, inner) in inside {
        add_instance(&format!("{name}/{inner_name}"), &inner, engine, text, depth + 1, found);
    }
}

impl Interface {
    fn add(&mut self, name: &str, item: &ComponentItem, text: &TypeText) {
        match item {
            ComponentItem::ComponentFunc(function) => self.functions.push(text.describe(name, function)),
            ComponentItem::Resource(_) => self.resources.push(name.to_owned()),
            _ => {}
        }
    }
}

fn runs(exports: &[Interface]) -> Runs {
    let either = |entry_03: (&str, &str), entry_02: (&str, &str)| {
        let has = |(interface, function), line| exports.iter().any(|e| is_entry(e, interface, line, function));
        match (has(entry_03, "0.3."), has(entry_02, "0.2.")) {
            (true, _) => Some(Version::V03),
            (false, true) => Some(Version::V02),
            (false, false) => None,
        }
    };
    Runs {
        http: either(("wasi:http/handler", "handle"), ("wasi:http/incoming-handler", "handle")),
        command: either(("wasi:cli/run", "run"), ("wasi:cli/run", "run")),
    }
}

/// Whether the export is this interface, of a release of this line, with this function. Release candidates
/// (`0.3.0-rc-…`) do not count: they match nothing but themselves.
fn is_entry(export: &Interface, interface: &str, line: &str, function: &str) -> bool {
    let Some((name, version)) = export.name.split_once('@') else {
        return false;
    };
    let release = version.strip_prefix(line).is_some_and(|patch| !patch.contains('-'));
    name == interface && release && export.functions.iter().any(|f| f.name == function)
}

/// Writes types as WIT text. It knows the names that a component gives to its resources, which their types do not.
#[derive(Default)]
pub(crate) struct TypeText {
    resources: Vec<(ResourceType, String)>,
}

impl TypeText {
    /// Remembers the names of the resources in an import or export.
    pub(crate) fn learn(&mut self, name: &str, item: &ComponentItem, engine: &Engine) {
        self.learn_nested(name, item, engine, 0);
    }

    fn learn_nested(&mut self, name: &str, item: &ComponentItem, engine: &Engine, depth: usize) {
        match item {
            ComponentItem::Resource(resource) if self.name_of(resource).is_none() => {
                self.resources.push((*resource, name.to_owned()));
            }
            ComponentItem::ComponentInstance(instance) if depth <= NESTING => {
                for (name, item) in instance.exports(engine) {
                    self.learn_nested(name, &item.ty, engine, depth + 1);
                }
            }
            _ => {}
        }
    }

    fn name_of(&self, resource: &ResourceType) -> Option<&str> {
        let named = self.resources.iter().find(|(known, _)| known == resource);
        named.map(|(_, name)| name.as_str())
    }

    fn describe(&self, name: &str, function: &ComponentFunc) -> Function {
        let parameter = |(name, ty): (&str, Type)| Parameter { name: name.to_owned(), type_text: self.of(&ty) };
        Function {
            name: name.to_owned(),
            is_async: function.async_(),
            parameters: function.params().map(parameter).collect(),
            result: function.results().next().map(|ty| self.of(&ty)),
        }
    }

    /// `async func(a: u32) -> string`.
    pub(crate) fn signature(&self, function: &ComponentFunc) -> String {
        let Function { is_async, parameters, result, .. } = self.describe("", function);
        let parameters: Vec<String> = parameters.iter().map(|p| format!("{}: {}", p.name, p.type_text)).collect();
        let keyword = if is_async { "async func" } else { "func" };
        let result = result.map(|ty| format!(" -> {ty}")).unwrap_or_default();
        format!("{keyword}({}){result}", parameters.join(", "))
    }

    /// The type as WIT text, in one line.
    pub(crate) fn of(&self, ty: &Type) -> String {
        let mut out = String::new();
        self.write(ty, &mut out);
        out
    }

    fn write(&self, ty: &Type, out: &mut String) {
        match ty {
            Type::Bool => out.push_str("bool"),
            Type::S8 => out.push_str("s8"),
            Type::U8 => out.push_str("u8"),
            Type::S16 => out.push_str("s16"),
            Type::U16 => out.push_str("u16"),
            Type::S32 => out.push_str("s32"),
            Type::U32 => out.push_str("u32"),
            Type::S64 => out.push_str("s64"),
            Type::U64 => out.push_str("u64"),
            Type::Float32 => out.push_str("f32"),
            Type::Float64 => out.push_str("f64"),
            Type::Char => out.push_str("char"),
            Type::String => out.push_str("string"),
            Type::ErrorContext => out.push_str("error-context"),
            Type::Own(resource) => out.push_str(self.name_of(resource).unwrap_or("resource")),
            Type::Borrow(resource) => {
                let name = self.name_of(resource).unwrap_or("resource");
                let _ = write!(out, "borrow<{name}>");
            }
            Type::List(list) => self.write_generic("list", [Some(list.ty())], out),
            Type::FixedLengthList(list) => {
                self.write_generic("list", [Some(list.ty())], out);
                out.pop();
                let _ = write!(out, ", {}>", list.len());
            }
            Type::Map(map) => self.write_generic("map", [Some(map.key()), Some(map.value())], out),
            Type::Tuple(tuple) => self.write_generic("tuple", tuple.types().map(Some), out),
            Type::Option(option) => self.write_generic("option", [Some(option.ty())], out),
            Type::Result(result) => self.write_result(result.ok(), result.err(), out),
            Type::Future(future) => self.write_generic("future", future.ty().map(Some), out),
            Type::Stream(stream) => self.write_generic("stream", stream.ty().map(Some), out),
            Type::Record(record) => {
                let fields = record.fields();
                self.write_body("record", fields.map(|f| (f.name, Some((": ", f.ty, "")))), out);
            }
            Type::Variant(variant) => {
                let cases = variant.cases();
                let payload = |ty: Option<Type>| ty.map(|ty| ("(", ty, ")"));
                self.write_body("variant", cases.map(|c| (c.name, payload(c.ty))), out);
            }
            Type::Enum(cases) => self.write_body("enum", cases.names().map(|name| (name, None)), out),
            Type::Flags(flags) => self.write_body("flags", flags.names().map(|name| (name, None)), out),
        }
    }

    fn write_result(&self, ok: Option<Type>, err: Option<Type>, out: &mut String) {
        match (ok, err) {
            (ok, None) => self.write_generic("result", ok.map(Some), out),
            (ok, err) => self.write_generic("result", [ok, err], out),
        }
    }

    /// `name<a, b>`, just `name` without arguments; an argument that is not there is `_`.
    fn write_generic(&self, name: &str, arguments: impl IntoIterator<Item = Option<Type>>, out: &mut String) {
        out.push_str(name);
        let mut before = "<";
        for argument in arguments {
            out.push_str(before);
            before = ", ";
            if out.len() > TYPE_TEXT {
                out.push('…');
                break;
            }
            match argument {
                Some(ty) => self.write(&ty, out),
                None => out.push('_'),
            }
        }
        if before != "<" {
            out.push('>');
        }
    }

    /// `name { a, b(u32) }`: each member with the type it has, if any, and what goes around that.
    fn write_body<'a>(&self, name: &str, members: impl Iterator<Item = (&'a str, Option<(&'a str, Type, &'a str)>)>, out: &mut String) {
        out.push_str(name);
        let mut before = " { ";
        for (member, ty) in members {
            out.push_str(before);
            before = ", ";
            if out.len() > TYPE_TEXT {
                out.push('…');
                break;
            }
            out.push_str(member);
            if let Some((open, ty, close)) = ty {
                out.push_str(open);
                self.write(&ty, out);
                out.push_str(close);
            }
        }
        out.push_str(" }");
    }
}
