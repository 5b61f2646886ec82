//! Two answers to "why can this not be run?": what a file is that is not a component, and which imports of a
//! component a linker does not satisfy.
//!
//! wasmtime reports the first import that does not fit and offers no lookup into a [`Linker`]. So the complete list
//! is found by asking it about smaller components: for each import a *probe* is written that imports nothing else
//! (besides the resources its types name), and the linker type-checks it. The lookup, with its semver rules, and
//! the type check are thus wasmtime's own. Probes have no code, and are only made once a component has been refused.

use serde::Serialize;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker, ResourceType, Type};

use crate::describe::TypeText;

const MAGIC: &[u8] = b"\0asm";
const CORE_VERSION: &[u8] = &[1, 0, 0, 0];
const COMPONENT_VERSION: &[u8] = &[0x0d, 0, 1, 0];
/// Bytes of an unknown file that a message repeats.
const BYTES_SHOWN: usize = 8;
/// Bytes at the start of a text that are looked at to tell what it is.
const TEXT_SEEN: usize = 4096;

/// Says what `bytes` are when they do not begin as a component does, and how to get a component from them.
/// `None` for what begins as one; whether the rest is valid, compiling tells.
pub fn explain_not_a_component(bytes: &[u8]) -> Option<String> {
    if let Some(after_magic) = bytes.strip_prefix(MAGIC) {
        return explain_wasm(bytes, after_magic);
    }
    let truncated = !bytes.is_empty() && MAGIC.starts_with(bytes);
    Some(match bytes {
        [] => "the file is empty; a WebAssembly component is wanted".into(),
        _ if truncated => {
            format!("the file ends after {} bytes, inside the magic number of WebAssembly; it is cut short", bytes.len())
        }
        _ => explain_other(bytes),
    })
}

fn explain_wasm(bytes: &[u8], after_magic: &[u8]) -> Option<String> {
    match after_magic.get(..4) {
        Some(COMPONENT_VERSION) => None,
        Some(CORE_VERSION) => Some(explain_core_module(&after_magic[4..])),
        Some([version, _, 1, 0]) => Some(format!(
            "this is a WebAssembly component in binary format 0x{version:02x}; the one in use is 0x0d, so build it again with current tools"
        )),
        Some(version) => Some(format!("this is WebAssembly of an unknown version ({})", hex(version))),
        None => Some(format!("the file ends after {} bytes, inside the header of WebAssembly; it is cut short", bytes.len())),
    }
}

/// A core module can become a component, if it carries its WIT; with WASI 0.1 imports it takes an adapter.
fn explain_core_module(sections: &[u8]) -> String {
    let module = CoreModule::read(sections);
    let next = match (module.preview1, module.component_type) {
        (true, _) => {
            let (adapter, flag) = match module.start {
                true => ("command", "--wasi-command"),
                false => ("reactor", "--wasi-reactor"),
            };
            format!(
                "It imports wasi_snapshot_preview1: build it for wasm32-wasip2, or convert it with \
                 `wasm-tools component new IN.wasm --adapt wasi_snapshot_preview1.{adapter}.wasm -o OUT.wasm` \
                 or `jco new IN.wasm {flag} -o OUT.wasm`"
            )
        }
        (false, true) => "It carries its WIT: convert it with \
             `wasm-tools component new IN.wasm -o OUT.wasm` or `jco new IN.wasm -o OUT.wasm`"
            .into(),
        (false, false) => "Add its WIT with `wasm-tools component embed WIT IN.wasm -o EMBEDDED.wasm`, then convert it with \
             `wasm-tools component new EMBEDDED.wasm -o OUT.wasm` or `jco new EMBEDDED.wasm -o OUT.wasm`"
            .into(),
    };
    format!("this is a core WebAssembly module, not a component. {next}")
}

/// What the sections of a core module tell about how to make a component of it.
#[derive(Default)]
struct CoreModule {
    preview1: bool,
    start: bool,
    component_type: bool,
}

impl CoreModule {
    /// Looks at as many sections as are whole.
    fn read(mut bytes: &[u8]) -> Self {
        let mut module = Self::default();
        while let Some((id, section, rest)) = split_section(bytes) {
            match id {
                0 => module.component_type |= contains(&section[..section.len().min(64)], b"component-type"),
                2 => module.preview1 |= contains(section, b"\x16wasi_snapshot_preview1"),
                7 => module.start |= contains(section, b"\x06_start"),
                _ => {}
            }
            bytes = rest;
        }
        module
    }
}

fn split_section(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&id, rest) = bytes.split_first()?;
    let (length, rest) = read_u32(rest)?;
    let (section, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((id, section, rest))
}

fn read_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0u32;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn explain_other(bytes: &[u8]) -> String {
    const KINDS: &[(&[u8], &str)] = &[
        (
            b"\x7fELF",
            "an ELF file: a precompiled component (.cwasm) or a native program. Compiled code is never \
                      accepted; give the .wasm it was made from",
        ),
        (b"\x1f\x8b", "a gzip archive; unpack it"),
        (b"PK\x03\x04", "a zip archive; unpack it"),
        (b"\x28\xb5\x2f\xfd", "a zstd archive; unpack it"),
        (b"BC\xc0\xde", "LLVM bitcode; link it into WebAssembly"),
        (b"MZ", "a Windows program"),
        (b"\xcf\xfa\xed\xfe", "a macOS program"),
    ];
    let kind = KINDS.iter().find(|(start, _)| bytes.starts_with(start));
    let kind = kind.map(|(_, kind)| *kind).or_else(|| text_kind(bytes));
    let start = &bytes[..bytes.len().min(BYTES_SHOWN)];
    match kind {
        Some(kind) => format!("this is not a WebAssembly component but {kind}"),
        None => {
            format!("this is not WebAssembly: it begins with the bytes {}, a component with 00 61 73 6d 0d 00 01 00", hex(start))
        }
    }
}

fn text_kind(bytes: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_SEEN)]);
    if text.contains('\0') || text.starts_with('\u{fffd}') {
        return None;
    }
    let code = after_comments(&text);
    let begins = |starts: &[&str]| starts.iter().any(|start| code.starts_with(start));
    Some(if begins(&["(component", "(module"]) {
        "WebAssembly text (WAT); convert it with `wasm-tools parse IN.wat -o OUT.wasm`"
    } else if begins(&["package ", "interface ", "world "]) {
        "a WIT file, which describes components; give the component built from it"
    } else if code.to_ascii_lowercase().starts_with("<!doctype html") || begins(&["<html"]) {
        "an HTML page, perhaps the answer to a download that failed"
    } else if begins(&["import ", "export ", "const ", "function ", "\"use strict\""]) {
        "JavaScript or TypeScript source; build a component from it first"
    } else {
        return None;
    })
}

/// The text without leading white space and comments of WAT (`;; …`, `(; … ;)`), WIT and JavaScript (`// …`, `/* … */`).
fn after_comments(mut text: &str) -> &str {
    const COMMENTS: [(&str, &str); 4] = [(";;", "\n"), ("//", "\n"), ("(;", ";)"), ("/*", "*/")];
    loop {
        text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let Some((_, end)) = COMMENTS.iter().find(|(start, _)| text.starts_with(start)) else {
            return text;
        };
        text = text.find(end).map_or("", |at| &text[at + end.len()..]);
    }
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

/// An imported interface, or (with the empty name) the world, and what of it a linker does not satisfy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    pub interface: String,
    /// A function by its name, a resource as `resource NAME`; one that is there but does not fit is followed by a
    /// colon and the reason.
    pub items: Vec<String>,
}

/// Every import of the component that the linker does not satisfy, in the component's order. Empty exactly when
/// [`Linker::instantiate_pre`] succeeds.
///
/// Functions defined with `func_new` and its kin have no types, so they fit every signature that is as async as they
/// are; those defined with `func_wrap` or `bindgen!` are compared in full.
pub fn missing_imports<T: 'static>(component: &Component, engine: &Engine, linker: &Linker<T>) -> Vec<Missing> {
    let Err(refusal) = linker.instantiate_pre(component) else {
        return Vec::new();
    };
    let ty = component.component_type();
    let imports: Vec<Import> = ty.imports(engine).map(|(name, item)| Import::new(name, item.ty, engine)).collect();
    let mut survey = Survey::new(engine, linker, &imports);
    let mut missing: Vec<Missing> = Vec::new();
    for (index, import) in imports.iter().enumerate() {
        let items = survey.import(index);
        if !items.is_empty() {
            add(&mut missing, import.interface, items);
        }
    }
    if missing.is_empty() {
        // Nothing was found wrong with any import alone: something no probe can say. wasmtime's own words, then.
        add(&mut missing, "", vec![format!("{refusal:#}")]);
    }
    missing
}

fn add(missing: &mut Vec<Missing>, interface: &str, items: Vec<String>) {
    match missing.iter_mut().find(|other| other.interface == interface) {
        Some(same) => same.items.extend(items),
        None => missing.push(Missing { interface: interface.to_owned(), items }),
    }
}

/// An import of the root: an interface with its items, or one item of the world under its own name.
struct Import<'a> {
    /// Empty for an item of the world.
    interface: &'a str,
    items: Vec<(String, ComponentItem)>,
}

impl<'a> Import<'a> {
    fn new(name: &'a str, item: ComponentItem, engine: &Engine) -> Self {
        match item {
            ComponentItem::ComponentInstance(instance) => Self { interface: name, items: exports(&instance, engine) },
            item => Self { interface: "", items: vec![(name.to_owned(), item)] },
        }
    }
}

/// The items of an instance that a linker has to supply. The names of types are for reading only.
fn exports(instance: &ComponentInstance, engine: &Engine) -> Vec<(String, ComponentItem)> {
    let items = instance.exports(engine).map(|(name, item)| (name.to_owned(), item.ty));
    items.filter(|(_, item)| !matches!(item, ComponentItem::Type(_))).collect()
}

/// The checks of one component against one linker, import by import.
struct Survey<'a, T: 'static> {
    engine: &'a Engine,
    /// The linker under test, and stand-ins for the resources it lacks.
    linker: Linker<T>,
    imports: &'a [Import<'a>],
    text: TypeText,
    resources: Vec<Resource<'a>>,
}

/// A resource that an import brings, as far as the survey has come.
struct Resource<'a> {
    import: usize,
    name: &'a str,
    ty: ResourceType,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The linker has it.
    Supplied,
    /// The linker has nothing under its name. Types that use it are written with a stand-in.
    Missing,
    /// The linker has something else under its name, so that the name cannot appear in a probe.
    Unusable,
}

enum Verdict {
    Satisfied,
    Missing,
    Unfit(String),
    /// It is there. Whether it fits cannot be told without a resource that is missing, and so on the list.
    Incomparable,
    /// No probe could be written.
    Unknown,
}

/// The interface that the stand-ins are defined in.
const STAND_INS: &str = "pilotlight:probe/stand-ins";

impl<'a, T: 'static> Survey<'a, T> {
    fn new(engine: &'a Engine, linker: &Linker<T>, imports: &'a [Import<'a>]) -> Self {
        let mut text = TypeText::default();
        for (name, item) in imports.iter().flat_map(|import| &import.items) {
            text.learn(name, item, engine);
        }
        Self { engine, linker: linker.clone(), imports, text, resources: Vec::new() }
    }

    /// What is wrong with one import. All of its items are tried together first, as most imports are whole.
    fn import(&mut self, index: usize) -> Vec<String> {
        let imports = self.imports;
        let items = &imports[index].items;
        if matches!(self.probe(index, items), Verdict::Satisfied) {
            for (name, item) in items {
                self.note_resource(index, name, item, State::Supplied);
            }
            return Vec::new();
        }
        items.iter().filter_map(|(name, item)| self.item(index, name, item)).collect()
    }

    /// What is wrong with one item of an import, if anything.
    fn item(&mut self, index: usize, name: &'a str, item: &'a ComponentItem) -> Option<String> {
        let verdict = self.probe(index, &[(name.to_owned(), item.clone())]);
        let state = match verdict {
            Verdict::Satisfied | Verdict::Unknown => State::Supplied,
            Verdict::Missing => State::Missing,
            Verdict::Unfit(_) | Verdict::Incomparable => State::Unusable,
        };
        self.note_resource(index, name, item, state);
        let name = match item {
            ComponentItem::Resource(_) => format!("resource {name}"),
            _ => name.to_owned(),
        };
        match verdict {
            Verdict::Satisfied | Verdict::Incomparable | Verdict::Unknown => None,
            Verdict::Missing => Some(name),
            Verdict::Unfit(reason) => Some(format!("{name}: {}", self.explain(item, &reason))),
        }
    }

    fn note_resource(&mut self, import: usize, name: &'a str, item: &ComponentItem, state: State) {
        let ComponentItem::Resource(ty) = item else {
            return;
        };
        self.resources.push(Resource { import, name, ty: *ty, state });
        if state != State::Supplied {
            self.define_stand_in(self.resources.len() - 1);
        }
    }

    /// Gives the linker a resource that only probes can name. It fails only if the linker has one already.
    fn define_stand_in(&mut self, index: usize) {
        let payload = u32::MAX - u32::try_from(index).unwrap_or(0);
        let ty = ResourceType::host_dynamic(payload);
        if let Ok(mut instance) = self.linker.instance(STAND_INS) {
            let _ = instance.resource(&stand_in(index), ty, |_, _| Ok(()));
        }
    }

    fn probe(&self, import: usize, items: &[(String, ComponentItem)]) -> Verdict {
        let mut probe = Probe::new(self.engine);
        let written = probe.write(self.imports, &self.resources, import, items);
        let component = written.and_then(|()| Component::new(self.engine, probe.finish()).ok());
        let Some(component) = component else {
            return Verdict::Unknown;
        };
        match self.linker.instantiate_pre(&component) {
            Ok(_) => Verdict::Satisfied,
            Err(refusal) => verdict(&refusal, probe.is_partial),
        }
    }

    fn explain(&self, item: &ComponentItem, reason: &str) -> String {
        match item {
            ComponentItem::ComponentFunc(function) if reason.starts_with("type mismatch with async") => {
                let (wanted, there) = match function.async_() {
                    true => ("an async func", "a plain one"),
                    false => ("a plain func", "an async one"),
                };
                format!("the component imports {wanted}, there is {there}")
            }
            ComponentItem::ComponentFunc(function) => {
                format!("the component imports {}, the function there is another ({reason})", self.text.signature(function))
            }
            _ => reason.to_owned(),
        }
    }
}

fn stand_in(index: usize) -> String {
    format!("r{index}")
}

/// Reads a refusal of wasmtime's. Its innermost error is the reason; those around it tell the place, which is known.
fn verdict(refusal: &wasmtime::Error, is_partial: bool) -> Verdict {
    let reasons: Vec<String> = refusal.chain().map(ToString::to_string).collect();
    let place = |reason: &String| reason.starts_with("component imports ") || reason.starts_with("instance export ");
    let reason = reasons[reasons.iter().take_while(|reason| place(reason)).count()..].join(": ");
    if reason.ends_with("implementation is missing") {
        Verdict::Missing
    } else if is_partial {
        Verdict::Incomparable
    } else {
        Verdict::Unfit(reason)
    }
}

/// A component being written in the binary format: imports, and the types they need.
struct Probe<'a> {
    engine: &'a Engine,
    /// The component, and the instance types open inside it.
    scopes: Vec<Scope>,
    instances: u32,
    /// Whether a type names a resource that the linker lacks, so that it is not the type that was asked for.
    is_partial: bool,
}

/// Type definitions after which a probe is given up; types that use others many times grow exponentially.
const MAX_TYPES: u32 = 50_000;

impl<'a> Probe<'a> {
    fn new(engine: &'a Engine) -> Self {
        Self { engine, scopes: vec![Scope::component()], instances: 0, is_partial: false }
    }

    fn finish(&self) -> Vec<u8> {
        let mut bytes = [MAGIC, COMPONENT_VERSION].concat();
        bytes.extend_from_slice(&self.scopes[0].bytes);
        bytes
    }

    /// Writes the resources known so far, as the imports that bring them, and the given items of one import.
    /// `None` when a type cannot be written.
    fn write(&mut self, imports: &[Import], resources: &[Resource], target: usize, items: &[(String, ComponentItem)]) -> Option<()> {
        self.stand_ins(resources);
        for (index, import) in imports.iter().enumerate().take(target + 1) {
            let own: Vec<&Resource> = resources.iter().filter(|r| r.import == index).collect();
            let items = if index == target { items } else { &[] };
            if own.is_empty() && items.is_empty() {
                continue;
            }
            match import.interface {
                "" => self.world_import(&own, items)?,
                name => self.interface_import(name, &own, items)?,
            }
        }
        Some(())
    }

    /// Imports a stand-in for every resource that the linker does not have.
    fn stand_ins(&mut self, resources: &[Resource]) {
        let lacking: Vec<(usize, ResourceType)> = resources
            .iter()
            .enumerate()
            .filter(|(_, resource)| resource.state != State::Supplied)
            .map(|(index, resource)| (index, resource.ty))
            .collect();
        if lacking.is_empty() {
            return;
        }
        self.scopes.push(Scope::instance());
        for (index, _) in &lacking {
            self.top().declare_type(&stand_in(*index), FRESH_RESOURCE);
        }
        let instance = self.close_instance(STAND_INS);
        for (index, ty) in lacking {
            let place = self.top().alias_export(instance, &stand_in(index));
            self.top().resources.push(Named { ty, index: place, is_declared: false, is_stand_in: true });
        }
    }

    fn world_import(&mut self, own: &[&Resource], items: &[(String, ComponentItem)]) -> Option<()> {
        for resource in own.iter().filter(|resource| resource.state == State::Supplied) {
            self.resource(resource.name, resource.ty);
        }
        self.items(items)
    }

    fn interface_import(&mut self, name: &str, own: &[&Resource], items: &[(String, ComponentItem)]) -> Option<()> {
        self.scopes.push(Scope::instance());
        for resource in own.iter().filter(|resource| resource.state != State::Unusable) {
            self.resource(resource.name, resource.ty);
        }
        self.items(items)?;
        let exported: Vec<(ResourceType, String)> = std::mem::take(&mut self.top().exported);
        let instance = self.close_instance(name);
        for (ty, name) in exported {
            let index = self.top().alias_export(instance, &name);
            self.top().resources.push(Named { ty, index, is_declared: false, is_stand_in: false });
        }
        Some(())
    }

    /// Ends the innermost instance type and imports an instance of it.
    fn close_instance(&mut self, name: &str) -> u32 {
        let ty = self.close_scope();
        self.top().declare(name, &[&[INSTANCE], &unsigned(ty)[..]].concat());
        self.instances += 1;
        self.instances - 1
    }

    fn close_scope(&mut self) -> u32 {
        let scope = self.scopes.pop().unwrap_or_else(Scope::instance);
        self.top().define(&scope.instance_type())
    }

    fn top(&mut self) -> &mut Scope {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::component());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// Declares what the probe is about. Only here does it matter what a type names.
    fn items(&mut self, items: &[(String, ComponentItem)]) -> Option<()> {
        self.is_partial = false;
        items.iter().try_for_each(|(name, item)| self.item(name, item))
    }

    /// Declares an item of any kind under its name.
    fn item(&mut self, name: &str, item: &ComponentItem) -> Option<()> {
        let description = match item {
            ComponentItem::Resource(ty) => {
                self.resource(name, *ty);
                return Some(());
            }
            ComponentItem::ComponentFunc(function) => [&[FUNCTION], &unsigned(self.function(function)?)[..]].concat(),
            ComponentItem::ComponentInstance(instance) => [&[INSTANCE], &unsigned(self.nested(instance)?)[..]].concat(),
            // What the module imports and exports is not written: this finds out whether it is there at all.
            ComponentItem::Module(_) => [MODULE, &unsigned(self.top().define_empty_module())].concat(),
            // wasmtime takes no components that import these.
            ComponentItem::Component(_) | ComponentItem::CoreFunc(_) | ComponentItem::Type(_) => return None,
        };
        self.top().declare(name, &description);
        Some(())
    }

    fn nested(&mut self, instance: &ComponentInstance) -> Option<u32> {
        self.scopes.push(Scope::instance());
        let items = exports(instance, self.engine);
        items.iter().try_for_each(|(name, item)| self.item(name, item))?;
        Some(self.close_scope())
    }

    /// Declares a resource: the same as one that is known, or a new one. Methods have to refer to it by this name.
    fn resource(&mut self, name: &str, ty: ResourceType) {
        let known = self.find(ty);
        let bound = known.map_or(FRESH_RESOURCE.to_vec(), equal_to);
        let index = self.top().declare_type(name, &bound);
        match self.top().resources.iter_mut().find(|known| known.ty == ty) {
            Some(known) if known.is_declared => {}
            Some(known) => (known.index, known.is_declared) = (index, true),
            None => {
                self.top().resources.push(Named { ty, index, is_declared: true, is_stand_in: false });
                self.top().exported.push((ty, name.to_owned()));
            }
        }
    }

    /// The index of a resource in the innermost scope, where it is aliased if it is known further out.
    fn find(&mut self, ty: ResourceType) -> Option<u32> {
        let place = |scope: &Scope| scope.resources.iter().find(|known| known.ty == ty).copied();
        let (out, known) = self.scopes.iter().rev().enumerate().find_map(|(out, scope)| Some((out, place(scope)?)))?;
        self.is_partial |= known.is_stand_in;
        if out == 0 {
            return Some(known.index);
        }
        let index = self.top().alias_outer(out, known.index);
        self.top().resources.push(Named { index, is_declared: false, ..known });
        Some(index)
    }

    fn function(&mut self, function: &ComponentFunc) -> Option<u32> {
        let mut bytes = vec![if function.async_() { 0x43 } else { 0x40 }];
        bytes.extend(unsigned(function.params().len()));
        for (name, ty) in function.params() {
            bytes.extend(string(name));
            bytes.extend(self.value(&ty)?);
        }
        match function.results().next() {
            Some(ty) => {
                bytes.push(0);
                bytes.extend(self.value(&ty)?);
            }
            None => bytes.extend([1, 0]),
        }
        Some(self.top().define(&bytes))
    }

    /// A value type: a byte for a primitive one, else the index of its definition.
    fn value(&mut self, ty: &Type) -> Option<Vec<u8>> {
        if let Some(primitive) = primitive(ty) {
            return Some(vec![primitive]);
        }
        let definition = self.definition(ty)?;
        let scope = self.top();
        if scope.types > MAX_TYPES {
            return None;
        }
        let mut index = scope.define(&definition);
        if matches!(ty, Type::Record(_) | Type::Variant(_) | Type::Enum(_) | Type::Flags(_)) {
            // These may only be used under a name. The linker takes no notice of it.
            index = scope.declare_type(&format!("probe-type-{index}"), &equal_to(index));
        }
        Some(signed(index))
    }

    fn definition(&mut self, ty: &Type) -> Option<Vec<u8>> {
        Some(match ty {
            Type::List(list) => [vec![0x70], self.value(&list.ty())?].concat(),
            Type::FixedLengthList(list) => [vec![0x67], self.value(&list.ty())?, unsigned(list.len())].concat(),
            Type::Map(map) => [vec![0x63], self.value(&map.key())?, self.value(&map.value())?].concat(),
            Type::Option(option) => [vec![0x6b], self.value(&option.ty())?].concat(),
            Type::Result(result) => [vec![0x6a], self.optional(result.ok())?, self.optional(result.err())?].concat(),
            Type::Future(future) => [vec![0x65], self.optional(future.ty())?].concat(),
            Type::Stream(stream) => [vec![0x66], self.optional(stream.ty())?].concat(),
            Type::Own(resource) => [vec![0x69], unsigned(self.find(*resource)?)].concat(),
            Type::Borrow(resource) => [vec![0x68], unsigned(self.find(*resource)?)].concat(),
            Type::Tuple(tuple) => {
                let members = tuple.types().map(|ty| self.value(&ty));
                vector(0x6f, members.collect::<Option<_>>()?)
            }
            Type::Record(record) => {
                let field = |(name, ty)| Some([string(name), self.value(&ty)?].concat());
                vector(0x72, record.fields().map(|f| (f.name, f.ty)).map(field).collect::<Option<_>>()?)
            }
            Type::Variant(variant) => {
                let case = |(name, ty)| Some([string(name), self.optional(ty)?, vec![0]].concat());
                vector(0x71, variant.cases().map(|c| (c.name, c.ty)).map(case).collect::<Option<_>>()?)
            }
            Type::Enum(cases) => vector(0x6d, cases.names().map(string).collect()),
            Type::Flags(flags) => vector(0x6e, flags.names().map(string).collect()),
            _ => return None,
        })
    }

    fn optional(&mut self, ty: Option<Type>) -> Option<Vec<u8>> {
        match ty {
            None => Some(vec![0]),
            Some(ty) => Some([vec![1], self.value(&ty)?].concat()),
        }
    }
}

/// One index space of a probe: the component itself, made of sections, or an instance type, made of declarations.
struct Scope {
    is_component: bool,
    bytes: Vec<u8>,
    declarations: u32,
    types: u32,
    core_types: u32,
    resources: Vec<Named>,
    /// Resources that an instance introduces, for use by what follows it.
    exported: Vec<(ResourceType, String)>,
}

/// A resource with its type index in a scope.
#[derive(Clone, Copy)]
struct Named {
    ty: ResourceType,
    index: u32,
    /// Declared in this scope, not brought into it by an alias.
    is_declared: bool,
    is_stand_in: bool,
}

const FUNCTION: u8 = 0x01;
const TYPE: u8 = 0x03;
const INSTANCE: u8 = 0x05;
const MODULE: &[u8] = &[0x00, 0x11];
const MODULE_TYPE: u8 = 0x50;
const INSTANCE_TYPE: u8 = 0x42;
/// The bound of a type that is a resource of its own.
const FRESH_RESOURCE: &[u8] = &[1];

impl Scope {
    fn component() -> Self {
        Self::new(true)
    }

    fn instance() -> Self {
        Self::new(false)
    }

    fn new(is_component: bool) -> Self {
        let (resources, exported) = (Vec::new(), Vec::new());
        Self { is_component, bytes: Vec::new(), declarations: 0, types: 0, core_types: 0, resources, exported }
    }

    /// Writes one thing: a section with one entry in a component, a declaration in an instance type.
    fn put(&mut self, section: u8, declaration: u8, body: &[u8]) {
        self.declarations += 1;
        if self.is_component {
            self.bytes.push(section);
            self.bytes.extend(unsigned(body.len() + 1));
            self.bytes.push(1);
        } else {
            self.bytes.push(declaration);
        }
        self.bytes.extend_from_slice(body);
    }

    /// Defines a type; its index.
    fn define(&mut self, definition: &[u8]) -> u32 {
        self.put(7, 1, definition);
        self.new_type()
    }

    /// Defines a core module type without imports and exports; its index among the core types.
    fn define_empty_module(&mut self) -> u32 {
        self.put(3, 0, &[MODULE_TYPE, 0]);
        self.core_types += 1;
        self.core_types - 1
    }

    /// Imports (in a component) or exports (in an instance type) something.
    fn declare(&mut self, name: &str, description: &[u8]) {
        self.put(10, 4, &[&[0], &string(name)[..], description].concat());
    }

    fn declare_type(&mut self, name: &str, bound: &[u8]) -> u32 {
        self.declare(name, &[&[TYPE], bound].concat());
        self.new_type()
    }

    fn alias_export(&mut self, instance: u32, name: &str) -> u32 {
        self.put(6, 2, &[vec![TYPE, 0], unsigned(instance), string(name)].concat());
        self.new_type()
    }

    fn alias_outer(&mut self, out: usize, index: u32) -> u32 {
        self.put(6, 2, &[vec![TYPE, 2], unsigned(out), unsigned(index)].concat());
        self.new_type()
    }

    fn new_type(&mut self) -> u32 {
        self.types += 1;
        self.types - 1
    }

    fn instance_type(&self) -> Vec<u8> {
        [vec![INSTANCE_TYPE], unsigned(self.declarations), self.bytes.clone()].concat()
    }
}

fn equal_to(index: u32) -> Vec<u8> {
    [vec![0], unsigned(index)].concat()
}

fn primitive(ty: &Type) -> Option<u8> {
    Some(match ty {
        Type::Bool => 0x7f,
        Type::S8 => 0x7e,
        Type::U8 => 0x7d,
        Type::S16 => 0x7c,
        Type::U16 => 0x7b,
        Type::S32 => 0x7a,
        Type::U32 => 0x79,
        Type::S64 => 0x78,
        Type::U64 => 0x77,
        Type::Float32 => 0x76,
        Type::Float64 => 0x75,
        Type::Char => 0x74,
        Type::String => 0x73,
        Type::ErrorContext => 0x64,
        _ => return None,
    })
}

fn vector(tag: u8, members: Vec<Vec<u8>>) -> Vec<u8> {
    [vec![tag], unsigned(members.len()), members.concat()].concat()
}

fn string(text: &str) -> Vec<u8> {
    [&unsigned(text.len())[..], text.as_bytes()].concat()
}

/// LEB128.
fn unsigned(value: impl TryInto<u64>) -> Vec<u8> {
    let mut value = value.try_into().unwrap_or(0);
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// LEB128 of a value that is read as signed: one more bit, so that the sign is plus.
fn signed(value: u32) -> Vec<u8> {
    let mut bytes = unsigned(value);
    if let Some(last) = bytes.last_mut().filter(|last| **last & 0x40 != 0) {
        *last |= 0x80;
        bytes.push(0);
    }
    bytes
}
