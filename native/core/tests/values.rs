//! Values and JSON, descriptions of components, and what is said about those that cannot run.
//! Components are written as text, in the smallest form that has the type or import in question.

use std::sync::LazyLock;

use pilotlight_core::component_check::{Missing, explain_not_a_component, missing_imports};
use pilotlight_core::describe::{Version, describe};
use pilotlight_core::values::{Limits, ValueError, arguments_from_json, from_json, json_name, results_from_json, to_json, values_to_json};
use proptest::prelude::*;
use serde_json::{Value, json};
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Linker, ResourceType, Type, Val};
use wasmtime::{Config, Engine};

const LIMITS: Limits = Limits::of_bytes(1 << 20);

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.wasm_component_model_error_context(true);
    config.wasm_component_model_map(true);
    config.wasm_component_model_fixed_length_lists(true);
    Engine::new(&config).expect("the engine takes these features")
});

fn component(text: &str) -> Component {
    let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    Component::new(&ENGINE, bytes).unwrap_or_else(|error| panic!("{error:?}\n{text}"))
}

/// The function type that a component imports as `f`, with type definitions before it.
fn function(definitions: &str, signature: &str) -> ComponentFunc {
    let component = component(&format!(r#"(component {definitions} (import "f" (func {signature})))"#));
    let ty = component.component_type();
    match ty.get_import(&ENGINE, "f").expect("f is imported").ty {
        ComponentItem::ComponentFunc(function) => function,
        other => panic!("f is {other:?}"),
    }
}

fn type_of(definitions: &str, ty: &str) -> Type {
    function(definitions, &format!(r#"(param "x" {ty})"#)).params().next().expect("one parameter").1
}

/// Records, variants, enums and flags may only be used under a name.
fn named(ty: &str) -> Type {
    type_of(&format!(r#"(type $t {ty}) (import "t" (type $x (eq $t)))"#), "$x")
}

fn lower(json: Value, ty: &Type) -> Result<Val, ValueError> {
    from_json(&json, ty, LIMITS)
}

/// What the refusal of a value says.
fn refusal(json: Value, ty: &Type) -> String {
    lower(json, ty).expect_err("it does not fit").to_string()
}

/// Checks that the value is this JSON, in both directions.
fn same(value: Val, json: Value, ty: &Type) {
    assert_eq!(to_json(&value, ty, LIMITS).as_ref(), Ok(&json));
    assert_eq!(lower(json, ty), Ok(value));
}

fn some(value: Val) -> Val {
    Val::Option(Some(Box::new(value)))
}

mod mapping {
    use super::*;

    #[test]
    fn records_have_lower_camel_case_keys_and_are_read_under_both_spellings() {
        let ty = named(r#"(record (field "max-size" u32) (field "from-URL" string) (field "x2-3d" bool))"#);
        let fields = [("max-size", Val::U32(7)), ("from-URL", Val::String("a".into())), ("x2-3d", Val::Bool(true))];
        let value = Val::Record(fields.map(|(name, value)| (name.to_owned(), value)).into());
        same(value.clone(), json!({ "maxSize": 7, "fromUrl": "a", "x2_3d": true }), &ty);
        assert_eq!(lower(json!({ "max-size": 7, "from-URL": "a", "x2-3d": true }), &ty), Ok(value));
    }

    #[test]
    fn fields_of_an_option_type_may_be_left_out() {
        let ty = named(r#"(record (field "a" (option u8)) (field "b" u8))"#);
        let value = Val::Record(vec![("a".into(), Val::Option(None)), ("b".into(), Val::U8(1))]);
        assert_eq!(lower(json!({ "b": 1 }), &ty), Ok(value.clone()));
        same(value, json!({ "a": null, "b": 1 }), &ty);
    }

    #[test]
    fn variants_and_results_are_tagged() {
        let ty = named(r#"(variant (case "on") (case "at-level" u8))"#);
        same(Val::Variant("on".into(), None), json!({ "tag": "on" }), &ty);
        same(Val::Variant("at-level".into(), Some(Box::new(Val::U8(3)))), json!({ "tag": "at-level", "val": 3 }), &ty);
        assert_eq!(lower(json!({ "tag": "on", "val": null }), &ty), Ok(Val::Variant("on".into(), None)));

        let ty = type_of("", "(result u8 (error string))");
        same(Val::Result(Ok(Some(Box::new(Val::U8(1))))), json!({ "tag": "ok", "val": 1 }), &ty);
        same(Val::Result(Err(Some(Box::new(Val::String("no".into()))))), json!({ "tag": "err", "val": "no" }), &ty);
        same(Val::Result(Ok(None)), json!({ "tag": "ok" }), &type_of("", "(result)"));
    }

    #[test]
    fn options_inside_options_stay_distinguishable() {
        let once = type_of("", "(option u8)");
        same(Val::Option(None), Value::Null, &once);
        same(some(Val::U8(1)), json!(1), &once);

        let thrice = type_of("", "(option (option (option u8)))");
        same(Val::Option(None), Value::Null, &thrice);
        same(some(Val::Option(None)), json!({ "tag": "some", "val": null }), &thrice);
        same(some(some(Val::Option(None))), json!({ "tag": "some", "val": { "tag": "some", "val": null } }), &thrice);
        same(some(some(some(Val::U8(1)))), json!({ "tag": "some", "val": { "tag": "some", "val": 1 } }), &thrice);
    }

    #[test]
    fn enums_and_flags_are_names_as_wit_has_them() {
        same(Val::Enum("not-found".into()), json!("not-found"), &named(r#"(enum "found" "not-found")"#));
        let flags = named(r#"(flags "read" "write" "run-it")"#);
        same(Val::Flags(vec!["read".into(), "run-it".into()]), json!(["read", "run-it"]), &flags);
        let value = lower(json!(["run-it", "read", "read"]), &flags);
        assert_eq!(value, Ok(Val::Flags(vec!["read".into(), "run-it".into()])), "in declared order, once each");
    }

    #[test]
    fn bytes_are_base64() {
        let ty = type_of("", "(list u8)");
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (text, base64) in cases {
            let bytes = Val::List(text.bytes().map(Val::U8).collect());
            same(bytes.clone(), json!(base64), &ty);
            assert_eq!(lower(json!(base64.trim_end_matches('=')), &ty), Ok(bytes), "padding may be left out");
        }
        same(Val::List([0xfb, 0xef, 0xff].map(Val::U8).into()), json!("++//"), &ty);
        assert_eq!(refusal(json!("++-_"), &ty), r#"$: expected bytes in base64, found "++-_": '-' at 2 is none of A-Z, a-z, 0-9, + and /"#);
        assert_eq!(refusal(json!("Zé=="), &ty), r#"$: expected bytes in base64, found "Zé==": 'é' at 1 is none of A-Z, a-z, 0-9, + and /"#);
        for wrong in ["Z", "Zh==", "Zm9=", "=", "====", "Zg=", "Zm8==", "Zg==Zg=="] {
            assert!(matches!(lower(json!(wrong), &ty), Err(ValueError::NotBase64 { .. })), "{wrong}");
        }
        assert_eq!(refusal(json!([1, 2]), &ty), "$: expected a string of bytes in base64, found an array of 2");
    }

    #[test]
    fn long_integers_are_numbers_while_javascript_holds_them() {
        let (signed, unsigned) = (type_of("", "s64"), type_of("", "u64"));
        same(Val::U64((1 << 53) - 1), json!(9007199254740991u64), &unsigned);
        same(Val::U64(1 << 53), json!("9007199254740992"), &unsigned);
        same(Val::U64(u64::MAX), json!("18446744073709551615"), &unsigned);
        same(Val::S64(-(1 << 53) + 1), json!(-9007199254740991i64), &signed);
        same(Val::S64(i64::MIN), json!("-9223372036854775808"), &signed);
        assert_eq!(lower(json!("12"), &unsigned), Ok(Val::U64(12)), "strings are read for small ones too");
        assert_eq!(lower(json!(u64::MAX), &unsigned), Ok(Val::U64(u64::MAX)), "exact numbers are read for large ones too");
        assert_eq!(lower(json!(1e3), &unsigned), Ok(Val::U64(1000)));
        assert!(lower(json!(1e19), &unsigned).is_err(), "a rounded number is not taken for a whole one");
        for wrong in ["", "-", "+1", "1.0", " 1", "0x1", "1e3"] {
            assert!(lower(json!(wrong), &unsigned).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn floats_have_names_for_what_json_lacks() {
        for ty in [type_of("", "f32"), type_of("", "f64")] {
            let value = |value: f64| match ty {
                Type::Float32 => Val::Float32(value as f32),
                _ => Val::Float64(value),
            };
            same(value(f64::NAN), json!("NaN"), &ty);
            same(value(f64::INFINITY), json!("Infinity"), &ty);
            same(value(f64::NEG_INFINITY), json!("-Infinity"), &ty);
            same(value(-0.0), json!(-0.0), &ty);
            same(value(0.1), json!(0.1), &ty);
            assert_eq!(lower(json!(3), &ty), Ok(value(3.0)));
            assert!(lower(json!("1.5"), &ty).is_err());
        }
    }

    #[test]
    fn lists_tuples_maps_and_characters() {
        same(Val::Char('é'), json!("é"), &type_of("", "char"));
        same(Val::Tuple(vec![Val::U8(1), Val::Bool(true)]), json!([1, true]), &type_of("", "(tuple u8 bool)"));
        same(Val::List(vec![Val::S8(-1)]), json!([-1]), &type_of("", "(list s8)"));
        same(Val::FixedLengthList(vec![Val::U16(1), Val::U16(2)]), json!([1, 2]), &type_of("", "(list u16 2)"));
        same(Val::FixedLengthList(vec![Val::U8(1), Val::U8(2)]), json!("AQI="), &type_of("", "(list u8 2)"));
        assert_eq!(refusal(json!("AQ=="), &type_of("", "(list u8 2)")), "$: expected a length of 2, found 1");

        let numbers = type_of("", "(map u8 bool)");
        let twice = Val::Map(vec![(Val::U8(2), Val::Bool(true)), (Val::U8(1), Val::Bool(false))]);
        same(twice, json!([[2, true], [1, false]]), &numbers);
        assert_eq!(refusal(json!({}), &numbers), "$: expected an array of [key, value] pairs, found an empty object");
        let words = type_of("", "(map string u8)");
        let one = Val::Map(vec![(Val::String("a".into()), Val::U8(1))]);
        same(one.clone(), json!([["a", 1]]), &words);
        assert_eq!(lower(json!({ "a": 1 }), &words), Ok(one), "an object will do where keys are strings");
    }

    #[test]
    fn names_stay_different() {
        let cases = [("a", "a"), ("a-b", "aB"), ("ab", "ab"), ("HTTP-version", "httpVersion"), ("a-1", "a_1"), ("a1", "a1"), ("", "")];
        for (wit, expected) in cases {
            assert_eq!(json_name(wit), expected);
        }
    }
}

mod refusals {
    use super::*;

    #[test]
    fn the_path_leads_to_the_wrong_field() {
        let definitions = r#"
            (type $i (record (field "name" string) (field "is-big" bool))) (import "i" (type $item (eq $i)))
            (type $o (record (field "items" (list $item)))) (import "o" (type $order (eq $o)))"#;
        let ty = function(definitions, r#"(param "first-order" $order)"#);
        let call = |json: &str| arguments_from_json(json, ty.params(), LIMITS).expect_err("it is wrong").to_string();
        let good = r#"{"name":"a","isBig":true}"#;
        assert_eq!(call(&format!(r#"[{{"items":[{good},{{"name":5,"isBig":true}}]}}]"#)), "$[0].items[1].name: expected a string, found 5");
        assert_eq!(
            call(&format!(r#"{{"firstOrder":{{"items":[{good},{{"name":"b"}}]}}}}"#)),
            "$.firstOrder.items[1]: missing isBig; the fields are name, isBig"
        );
        assert_eq!(call(r#"[{"items":[],"note":"x","y z":1}]"#), r#"$[0]: unknown note, "y z"; the fields are items"#);
        assert_eq!(
            call(r#"[{"items":[{"name":"a","isBig":true,"is-big":true}]}]"#),
            "$[0].items[0]: isBig and is-big are the same field; give one of them"
        );
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_the_range() {
        assert_eq!(refusal(json!(256), &type_of("", "u8")), "$: 256 is out of range for u8, which goes from 0 to 255");
        assert_eq!(refusal(json!(-1), &type_of("", "u64")), "$: -1 is out of range for u64, which goes from 0 to 18446744073709551615");
        assert_eq!(
            refusal(json!("9223372036854775808"), &type_of("", "s64")),
            r#"$: "9223372036854775808" is out of range for s64, which goes from -9223372036854775808 to 9223372036854775807"#
        );
        let digits = "9".repeat(100);
        assert!(matches!(lower(json!(digits), &type_of("", "u64")), Err(ValueError::OutOfRange { .. })));
        assert!(matches!(lower(json!(format!("-{digits}")), &type_of("", "s64")), Err(ValueError::OutOfRange { .. })));
        assert!(matches!(lower(json!(1e300), &type_of("", "s32")), Err(ValueError::OutOfRange { .. })));
        assert!(matches!(lower(json!(1e39), &type_of("", "f32")), Err(ValueError::OutOfRange { .. })));
        assert_eq!(refusal(json!(1.5), &type_of("", "u8")), "$: expected a whole number (u8), found 1.5");
        assert_eq!(refusal(json!("1"), &type_of("", "u8")), r#"$: expected a whole number (u8), found "1""#);
    }

    #[test]
    fn unknown_names_are_refused_with_those_there_are() {
        assert_eq!(refusal(json!("c"), &named(r#"(enum "a" "b-b")"#)), r#"$: unknown case "c"; there are a, b-b"#);
        assert_eq!(refusal(json!(["a", "c"]), &named(r#"(flags "a" "b")"#)), r#"$[1]: unknown flag "c"; there are a, b"#);
        let variant = named(r#"(variant (case "a" u8) (case "b"))"#);
        assert_eq!(refusal(json!({ "tag": "c" }), &variant), r#"$.tag: unknown case "c"; there are a, b"#);
        assert_eq!(refusal(json!({ "tag": "a", "val": "x" }), &variant), r#"$.val: expected a whole number (u8), found "x""#);
        assert_eq!(refusal(json!({ "tag": "a" }), &variant), "$: missing val; the fields are tag, val");
        assert_eq!(refusal(json!({ "tag": "b", "val": 1 }), &variant), "$.val: expected nothing, as this case carries no value, found 1");
        assert_eq!(refusal(json!({ "tag": "b", "value": 1 }), &variant), "$: unknown value; the fields are tag, val");
        assert_eq!(refusal(json!("a"), &variant), r#"$: expected {"tag": …, "val": …} with one of the tags a, b, found "a""#);
    }

    #[test]
    fn values_that_live_in_one_instance_are_refused_by_name() {
        let resource = r#"(import "r" (type $r (sub resource)))"#;
        let cases = [
            (type_of(resource, "(own $r)"), "resource"),
            (type_of(resource, "(borrow $r)"), "borrowed resource"),
            (type_of("", "(stream u8)"), "stream"),
            (type_of("", "(future)"), "future"),
            (type_of("", "error-context"), "error-context"),
        ];
        for (ty, name) in cases {
            let expected = format!("$: a value of type {name} cannot be given as JSON; it lives inside one instance");
            assert_eq!(refusal(json!(1), &ty), expected);
            assert_eq!(to_json(&Val::U8(1), &ty, LIMITS).expect_err("it cannot").to_string(), expected);
        }
        let inside = type_of("", "(list (stream u8))");
        assert!(refusal(json!([1]), &inside).starts_with("$[0]: a value of type stream "));
    }

    #[test]
    fn arguments_are_named_when_they_are_missing_unknown_or_too_many() {
        let ty = function("", r#"(param "a-b" u8) (param "c" (option u8)) (param "d" u8)"#);
        let call = |json: &str| arguments_from_json(json, ty.params(), LIMITS).map_err(|error| error.to_string());
        let values = vec![Val::U8(1), Val::Option(None), Val::U8(2)];
        for json in [r#"[1, null, 2]"#, r#"{"aB": 1, "d": 2}"#, r#"{"a-b": 1, "d": 2, "c": null}"#] {
            assert_eq!(call(json), Ok(values.clone()), "{json}");
        }
        let refused = [
            ("[1]", "missing argument d; the parameters are aB, c, d"),
            ("{}", "missing argument aB, d; the parameters are aB, c, d"),
            (r#"{"aB":1,"d":2,"x":3}"#, "unknown argument x; the parameters are aB, c, d"),
            ("[1,2,3,4]", "found 4 arguments, expected 3: aB, c, d"),
            ("5", "$: expected an array of arguments, or an object of them by parameter name, found 5"),
            ("[1,", "not JSON: EOF while parsing a value at line 1, column 3"),
        ];
        for (json, message) in refused {
            assert_eq!(call(json), Err(message.to_owned()));
        }
        assert_eq!(arguments_from_json("[]", [], LIMITS), Ok(vec![]));
        assert_eq!(arguments_from_json("{}", [], LIMITS), Ok(vec![]));
    }

    #[test]
    fn results_are_an_array_of_as_many() {
        let ty = function("", r#"(result u8)"#);
        assert_eq!(results_from_json("[1]", ty.results(), LIMITS), Ok(vec![Val::U8(1)]));
        assert!(results_from_json("[]", ty.results(), LIMITS).is_err());
        assert!(results_from_json("1", ty.results(), LIMITS).is_err());
        assert_eq!(values_to_json(&[Val::U8(1)], ty.results(), LIMITS), Ok(json!([1])));
    }

    #[test]
    fn values_past_the_size_limit_are_refused_in_both_directions_with_the_excess() {
        let ty = type_of("", "(list string)");
        let json = json!(["x".repeat(500), "y".repeat(600)]);
        let value = lower(json.clone(), &ty).expect("there is room");
        let needed = 3 * size_of::<Val>() + 1100;
        let exact = Limits::of_bytes(needed);
        assert!(from_json(&json, &ty, exact).is_ok());
        assert!(to_json(&value, &ty, exact).is_ok());
        let tight = Limits::of_bytes(needed - 1);
        let too_large = ValueError::TooLarge { path: "$[1]".into(), limit: needed - 1, reached: needed };
        assert_eq!(from_json(&json, &ty, tight), Err(too_large.clone()));
        assert_eq!(to_json(&value, &ty, tight), Err(too_large.clone()));
        assert_eq!(too_large.to_string(), format!("$[1]: values come to {needed} bytes here, 1 more than the limit of {}", needed - 1));
        let bytes = type_of("", "(list u8)");
        assert!(matches!(from_json(&json!("A".repeat(4000)), &bytes, tight), Err(ValueError::TooLarge { .. })));
    }

    #[test]
    fn values_nested_too_deep_are_refused() {
        let ty = type_of("", "(list (list (list u16)))");
        let shallow = Limits { depth: 2, bytes: 1 << 20 };
        assert!(from_json(&json!([[[]]]), &ty, shallow).is_ok());
        assert_eq!(from_json(&json!([[[1]]]), &ty, shallow), Err(ValueError::TooDeep { path: "$[0][0][0]".into(), limit: 2 }));
        let value = Val::List(vec![Val::List(vec![Val::List(vec![Val::U16(1)])])]);
        assert_eq!(to_json(&value, &ty, shallow), Err(ValueError::TooDeep { path: "$[0][0][0]".into(), limit: 2 }));
        let text = "[".repeat(10_000);
        assert!(matches!(results_from_json(&text, [Type::Bool], LIMITS), Err(ValueError::TooDeep { .. })));
    }

    #[test]
    fn a_value_of_another_type_than_promised_is_told_apart_from_user_errors() {
        let error = to_json(&Val::U8(1), &type_of("", "string"), LIMITS).expect_err("types differ");
        assert_eq!(error.to_string(), "$: a value of type string was promised, the component gave u8");
        let error = serde_json::to_value(error).expect("errors are data");
        assert_eq!(error, json!({ "kind": "mismatch", "path": "$", "expected": "string", "found": "u8" }));
    }

    #[test]
    fn messages_stay_short() {
        let cases: String = (0..1000).map(|index| format!(r#" "case-{index}""#)).collect();
        let message = refusal(json!("x".repeat(10_000)), &named(&format!("(enum {cases})")));
        assert!(message.len() < 500, "{message}");
        assert!(message.ends_with("case-19 and 980 more"), "{message}");
    }
}

/// Random WIT types, values of them, and JSON that may or may not fit.
mod random {
    use super::*;

    #[derive(Clone, Debug)]
    enum Shape {
        Primitive(&'static str),
        List(Box<Shape>),
        Fixed(Box<Shape>, u32),
        Map(&'static str, Box<Shape>),
        Option(Box<Shape>),
        Result(Option<Box<Shape>>, Option<Box<Shape>>),
        Tuple(Vec<Shape>),
        Record(Vec<Shape>),
        Variant(Vec<Option<Shape>>),
        Enum(usize),
        Flags(usize),
    }

    fn shapes() -> impl Strategy<Value = Shape> {
        let primitives = ["bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string"];
        let leaf = prop_oneof![
            8 => prop::sample::select(primitives.to_vec()).prop_map(Shape::Primitive),
            1 => (1..5usize).prop_map(Shape::Enum),
            1 => (1..33usize).prop_map(Shape::Flags),
        ];
        leaf.prop_recursive(5, 24, 4, |inner| {
            let boxed = inner.clone().prop_map(Box::new);
            let maybe = prop::option::of(boxed.clone());
            let keys = prop::sample::select(vec!["string", "u8", "s64", "char", "bool"]);
            prop_oneof![
                boxed.clone().prop_map(Shape::List),
                (boxed.clone(), 1..4u32).prop_map(|(element, length)| Shape::Fixed(element, length)),
                (keys, boxed.clone()).prop_map(|(key, value)| Shape::Map(key, value)),
                boxed.prop_map(Shape::Option),
                (maybe.clone(), maybe).prop_map(|(ok, err)| Shape::Result(ok, err)),
                prop::collection::vec(inner.clone(), 1..4).prop_map(Shape::Tuple),
                prop::collection::vec(inner.clone(), 1..4).prop_map(Shape::Record),
                prop::collection::vec(prop::option::of(inner), 1..4).prop_map(Shape::Variant),
            ]
        })
    }

    /// Names that are easily confused, so that the mapping of names is tried too.
    fn name(index: usize) -> String {
        ["a", "a-b", "ab", "a-b-c", "a1", "a-1", "URL-x"].get(index).map_or_else(|| format!("n-{index}"), ToString::to_string)
    }

    /// Writes the shape in WAT; definitions that need a name go before.
    fn text(shape: &Shape, definitions: &mut Vec<String>) -> String {
        let optional = |shape: &Option<Box<Shape>>, definitions: &mut Vec<String>| {
            shape.as_ref().map(|shape| text(shape, definitions)).unwrap_or_default()
        };
        match shape {
            Shape::Primitive(name) => (*name).to_owned(),
            Shape::List(element) => format!("(list {})", text(element, definitions)),
            Shape::Fixed(element, length) => format!("(list {} {length})", text(element, definitions)),
            Shape::Map(key, value) => format!("(map {key} {})", text(value, definitions)),
            Shape::Option(inner) => format!("(option {})", text(inner, definitions)),
            Shape::Result(ok, err) => {
                let ok = optional(ok, definitions);
                let err = err.as_ref().map(|err| format!("(error {})", text(err, definitions))).unwrap_or_default();
                format!("(result {ok} {err})")
            }
            Shape::Tuple(members) => {
                let members: Vec<String> = members.iter().map(|member| text(member, definitions)).collect();
                format!("(tuple {})", members.join(" "))
            }
            Shape::Record(fields) => {
                let fields = fields.iter().map(|field| text(field, definitions)).collect::<Vec<_>>();
                let field = |(index, ty): (usize, &String)| format!(r#"(field "{}" {ty})"#, name(index));
                define(format!("(record {})", fields.iter().enumerate().map(field).collect::<String>()), definitions)
            }
            Shape::Variant(cases) => {
                let payload = |case: &Option<Shape>| case.as_ref().map(|case| text(case, definitions)).unwrap_or_default();
                let cases = cases.iter().map(payload).collect::<Vec<_>>();
                let case = |(index, ty): (usize, &String)| format!(r#"(case "{}" {ty})"#, name(index));
                define(format!("(variant {})", cases.iter().enumerate().map(case).collect::<String>()), definitions)
            }
            Shape::Enum(count) => define(format!("(enum {})", quoted(*count)), definitions),
            Shape::Flags(count) => define(format!("(flags {})", quoted(*count)), definitions),
        }
    }

    fn quoted(count: usize) -> String {
        (0..count).map(|index| format!(r#" "{}""#, name(index))).collect()
    }

    fn define(ty: String, definitions: &mut Vec<String>) -> String {
        let index = definitions.len();
        definitions.push(format!(r#"(type $d{index} {ty}) (import "t{index}" (type $t{index} (eq $d{index})))"#));
        format!("$t{index}")
    }

    fn wit_type(shape: &Shape) -> Type {
        let mut definitions = Vec::new();
        let ty = text(shape, &mut definitions);
        type_of(&definitions.join("\n"), &ty)
    }

    fn value(shape: &Shape) -> BoxedStrategy<Val> {
        match shape {
            Shape::Primitive(name) => primitive(name),
            Shape::List(element) => prop::collection::vec(value(element), 0..4).prop_map(Val::List).boxed(),
            Shape::Fixed(element, length) => prop::collection::vec(value(element), *length as usize).prop_map(Val::FixedLengthList).boxed(),
            Shape::Map(key, inner) => prop::collection::vec((primitive(key), value(inner)), 0..3).prop_map(Val::Map).boxed(),
            Shape::Option(inner) => prop::option::of(value(inner).prop_map(Box::new)).prop_map(Val::Option).boxed(),
            Shape::Result(ok, err) => prop_oneof![
                payload(ok.as_deref()).prop_map(|value| Val::Result(Ok(value))),
                payload(err.as_deref()).prop_map(|value| Val::Result(Err(value))),
            ]
            .boxed(),
            Shape::Tuple(members) => members.iter().map(value).collect::<Vec<_>>().prop_map(Val::Tuple).boxed(),
            Shape::Record(fields) => {
                let fields = fields.iter().enumerate().map(|(index, field)| (Just(name(index)), value(field)));
                fields.collect::<Vec<_>>().prop_map(Val::Record).boxed()
            }
            Shape::Variant(cases) => {
                let case = |(index, case): (usize, &Option<Shape>)| {
                    payload(case.as_ref()).prop_map(move |payload| Val::Variant(name(index), payload)).boxed()
                };
                prop::strategy::Union::new(cases.iter().enumerate().map(case)).boxed()
            }
            Shape::Enum(count) => (0..*count).prop_map(|index| Val::Enum(name(index))).boxed(),
            Shape::Flags(count) => {
                let all: Vec<String> = (0..*count).map(name).collect();
                prop::sample::subsequence(all.clone(), 0..=all.len()).prop_map(Val::Flags).boxed()
            }
        }
    }

    fn payload(shape: Option<&Shape>) -> BoxedStrategy<Option<Box<Val>>> {
        match shape {
            None => Just(None).boxed(),
            Some(shape) => value(shape).prop_map(|value| Some(Box::new(value))).boxed(),
        }
    }

    fn primitive(name: &str) -> BoxedStrategy<Val> {
        match name {
            "bool" => any::<bool>().prop_map(Val::Bool).boxed(),
            "s8" => any::<i8>().prop_map(Val::S8).boxed(),
            "u8" => any::<u8>().prop_map(Val::U8).boxed(),
            "s16" => any::<i16>().prop_map(Val::S16).boxed(),
            "u16" => any::<u16>().prop_map(Val::U16).boxed(),
            "s32" => any::<i32>().prop_map(Val::S32).boxed(),
            "u32" => any::<u32>().prop_map(Val::U32).boxed(),
            "s64" => prop_oneof![any::<i64>(), -9i64..9].prop_map(Val::S64).boxed(),
            "u64" => prop_oneof![any::<u64>(), 0u64..9].prop_map(Val::U64).boxed(),
            "f32" => prop_oneof![any::<u32>().prop_map(f32::from_bits), -9f32..9.0].prop_map(Val::Float32).boxed(),
            "f64" => prop_oneof![any::<u64>().prop_map(f64::from_bits), -9f64..9.0].prop_map(Val::Float64).boxed(),
            "char" => any::<char>().prop_map(Val::Char).boxed(),
            "string" => ".{0,8}".prop_map(Val::String).boxed(),
            other => panic!("no primitive {other}"),
        }
    }

    /// JSON of the kinds that conversions look for, in the wrong places.
    fn any_json() -> impl Strategy<Value = Value> {
        let words = ["a", "aB", "a-b", "ab", "ok", "err", "some", "AQI=", "NaN", "-12", "99999999999999999999", "x", ""];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (0..3u8).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            prop::sample::select(words.to_vec()).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        let keys = prop::sample::select(vec!["tag", "val", "a", "aB", "a-b", "ab", "aBC", "a1", "a_1", "n7"]);
        leaf.prop_recursive(6, 32, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((keys.clone().prop_map(str::to_owned), inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// Takes something out of, or puts something else into, a value that fits.
    fn damaged(json: &Value, other: &Value, place: usize) -> Value {
        match json {
            Value::Array(items) if !items.is_empty() => {
                let mut items = items.clone();
                let index = place % items.len();
                items[index] = damaged(&items[index], other, place / items.len());
                Value::Array(items)
            }
            Value::Object(fields) if !fields.is_empty() => {
                let mut fields = fields.clone();
                let index = place % fields.len();
                if let Some((_, value)) = fields.iter_mut().nth(index) {
                    *value = damaged(value, other, place / 7);
                }
                Value::Object(fields)
            }
            _ => other.clone(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_value_comes_back_from_json_as_it_was(
            (shape, value) in shapes().prop_flat_map(|shape| (Just(shape.clone()), value(&shape)))
        ) {
            let ty = wit_type(&shape);
            let json = to_json(&value, &ty, LIMITS).expect("it is of its type");
            prop_assert_eq!(from_json(&json, &ty, LIMITS), Ok(value));
        }

        #[test]
        fn a_value_comes_back_from_text_as_it_was(
            (shape, value) in shapes().prop_flat_map(|shape| (Just(shape.clone()), value(&shape)))
        ) {
            let ty = wit_type(&shape);
            let json = values_to_json(std::slice::from_ref(&value), [ty.clone()], LIMITS).expect("it is of its type");
            prop_assert_eq!(results_from_json(&json.to_string(), [ty], LIMITS), Ok(vec![value]));
        }

        #[test]
        fn no_json_makes_a_conversion_panic(
            (shape, value) in shapes().prop_flat_map(|shape| (Just(shape.clone()), value(&shape))),
            json in any_json(),
            place in any::<usize>(),
            bytes in 0..4096usize,
            depth in 0..8usize,
        ) {
            let ty = wit_type(&shape);
            let limits = Limits { depth, bytes };
            let fitting = to_json(&value, &ty, LIMITS).expect("it is of its type");
            for json in [&json, &damaged(&fitting, &json, place), &fitting] {
                for limits in [LIMITS, limits] {
                    match from_json(json, &ty, limits) {
                        // What was accepted is of its type, and so has a JSON form.
                        Ok(value) => drop(to_json(&value, &ty, LIMITS).expect("it is of its type")),
                        Err(error) => prop_assert!(!error.to_string().is_empty()),
                    }
                    let _ = arguments_from_json(&json.to_string(), [("a-b", ty.clone())], limits);
                }
            }
            let _ = to_json(&value, &ty, limits);
        }

        #[test]
        fn no_value_of_another_type_makes_a_conversion_panic(
            shape in shapes(),
            value in shapes().prop_flat_map(|shape| value(&shape)),
        ) {
            let _ = to_json(&value, &wit_type(&shape), LIMITS);
        }

        #[test]
        fn no_text_makes_arguments_panic(text in any::<String>()) {
            let _ = arguments_from_json(&text, [("a", Type::U8)], LIMITS);
        }

        #[test]
        fn no_bytes_make_an_explanation_panic(start in 0..5usize, bytes in any::<Vec<u8>>()) {
            let starts: [&[u8]; 5] = [b"", b"\0as", b"\0asm\x01\0\0\0", b"(; ", b"\0asm"];
            let _ = explain_not_a_component(&[starts[start], &bytes].concat());
        }
    }
}

mod descriptions {
    use super::*;

    fn described(text: &str) -> Value {
        serde_json::to_value(describe(&component(text), &ENGINE)).expect("it is data")
    }

    #[test]
    fn interfaces_have_functions_with_types_as_wit_text() {
        let description = described(
            r#"(component
                (import "log" (func (param "line" string)))
                (import "acme:db/types@1.0.0" (instance $db
                    (export "row" (type $row (sub resource)))
                    (type $k (variant (case "id" u64) (case "name" string) (case "any")))
                    (export "key" (type $key (eq $k)))
                    (type $h (record (field "a" u32) (field "b" (option string))))
                    (export "hit" (type $hit (eq $h)))
                    (type $m (enum "fast" "slow")) (export "mode" (type $mode (eq $m)))
                    (type $f (flags "r" "w")) (export "rights" (type $rights (eq $f)))
                    (export "find" (func async (param "key" $key) (param "modes" (list $mode))
                        (result (result (list $hit) (error string)))))
                    (export "[method]row.bytes" (func (param "self" (borrow $row)) (result (list u8))))
                    (export "[static]row.open" (func (param "rights" $rights) (result (own $row))))
                    (export "all" (func (param "a" (tuple s8 f32 f64 char)) (param "b" (result))
                        (param "c" (result (error u8))) (param "d" (list u8 4)) (param "e" (map string bool))
                        (param "f" (stream u8)) (param "g" (future)) (param "h" error-context)))
                ))
                (import "acme:db/more@1.0.0" (instance))
            )"#,
        );
        assert_eq!(
            description,
            json!({
                "imports": [
                    { "name": "", "resources": [], "functions": [
                        { "name": "log", "async": false, "parameters": [{ "name": "line", "type": "string" }] },
                    ]},
                    { "name": "acme:db/types@1.0.0", "resources": ["row"], "functions": [
                        { "name": "find", "async": true, "parameters": [
                            { "name": "key", "type": "variant { id(u64), name(string), any }" },
                            { "name": "modes", "type": "list<enum { fast, slow }>" },
                        ], "result": "result<list<record { a: u32, b: option<string> }>, string>" },
                        { "name": "[method]row.bytes", "async": false,
                          "parameters": [{ "name": "self", "type": "borrow<row>" }], "result": "list<u8>" },
                        { "name": "[static]row.open", "async": false,
                          "parameters": [{ "name": "rights", "type": "flags { r, w }" }], "result": "row" },
                        { "name": "all", "async": false, "parameters": [
                            { "name": "a", "type": "tuple<s8, f32, f64, char>" },
                            { "name": "b", "type": "result" },
                            { "name": "c", "type": "result<_, u8>" },
                            { "name": "d", "type": "list<u8, 4>" },
                            { "name": "e", "type": "map<string, bool>" },
                            { "name": "f", "type": "stream<u8>" },
                            { "name": "g", "type": "future" },
                            { "name": "h", "type": "error-context" },
                        ]},
                    ]},
                    { "name": "acme:db/more@1.0.0", "resources": [], "functions": [] },
                ],
                "exports": [],
                "runs": {},
            })
        );
    }

    /// A component that exports one instance with one function that takes and gives nothing.
    fn exporting(name: &str, function: &str) -> String {
        format!(
            r#"(component
                (core module $m (func (export "f")))
                (core instance $i (instantiate $m))
                (func $f (canon lift (core func $i "f")))
                (instance $e (export "{function}" (func $f)))
                (export "{name}" (instance $e))
            )"#
        )
    }

    #[test]
    fn what_a_component_runs_as_is_read_from_its_exports() {
        let runs = |name: &str, function: &str| {
            let runs = describe(&component(&exporting(name, function)), &ENGINE).runs;
            (runs.http, runs.command)
        };
        assert_eq!(runs("wasi:http/incoming-handler@0.2.3", "handle"), (Some(Version::V02), None));
        assert_eq!(runs("wasi:http/handler@0.3.0", "handle"), (Some(Version::V03), None));
        assert_eq!(runs("wasi:cli/run@0.2.0", "run"), (None, Some(Version::V02)));
        assert_eq!(runs("wasi:cli/run@0.3.1", "run"), (None, Some(Version::V03)));
        let others = [
            ("wasi:http/handler@0.2.0", "handle"),
            ("wasi:http/incoming-handler@0.3.0", "handle"),
            ("wasi:http/handler@0.3.0-rc-2025-09-16", "handle"),
            ("wasi:http/incoming-handler@0.20.0", "handle"),
            ("wasi:http/incoming-handler@0.2.0", "answer"),
            ("wasi:cli/run@1.0.0", "run"),
        ];
        for (name, function) in others {
            assert_eq!(runs(name, function), (None, None), "{name}");
        }
        assert_eq!(described(&exporting("wasi:cli/run@0.3.0", "run"))["runs"], json!({ "command": "0.3" }));
    }

    #[test]
    fn strange_components_are_described_as_far_as_they_go() {
        assert_eq!(described("(component)"), json!({ "imports": [], "exports": [], "runs": {} }));
        let description = described(
            r#"(component
                (import "a" (instance $a
                    (export "inner" (instance (export "r" (type (sub resource))) (export "f" (func))))))
                (import "m" (core module $m (export "f" (func))))
                (type $r (resource (rep i32)))
                (export "own-resource" (type $r))
                (export "m2" (core module $m))
                (instance $i (export "kept" (type $r)) (export "m" (core module $m)))
                (instance $o (export "deep" (instance $i)))
                (export "again" (instance $o))
            )"#,
        );
        assert_eq!(
            description["imports"],
            json!([
                { "name": "a", "functions": [], "resources": [] },
                { "name": "a/inner", "functions": [{ "name": "f", "async": false, "parameters": [] }], "resources": ["r"] },
            ])
        );
        assert_eq!(
            description["exports"],
            json!([
                { "name": "", "functions": [], "resources": ["own-resource"] },
                { "name": "again", "functions": [], "resources": [] },
                { "name": "again/deep", "functions": [], "resources": ["kept"] },
            ])
        );
    }

    #[test]
    fn a_type_that_uses_another_many_times_is_not_written_out_as_often() {
        let mut types = String::new();
        for level in 1..16 {
            let below = format!("$t{}", level - 1);
            types += &format!("(type $t{level} (tuple {below} {below}))");
        }
        let text = format!(r#"(component (type $t0 (tuple u8 u8)) {types} (import "f" (func (param "x" $t15))))"#);
        let description = described(&text);
        let ty = description["imports"][0]["functions"][0]["parameters"][0]["type"].as_str().expect("a type");
        assert!(ty.len() < 3000, "{} characters", ty.len());
        assert!(ty.contains('…') && ty.ends_with('>'));
    }
}

mod other_files {
    use super::*;

    fn explained(bytes: &[u8]) -> String {
        explain_not_a_component(bytes).expect("it is not a component")
    }

    fn explained_text(text: &str) -> String {
        explained(&wat::parse_str(text).expect("it is WAT"))
    }

    #[test]
    fn components_need_no_explanation() {
        assert_eq!(explain_not_a_component(&wat::parse_str("(component)").expect("it is WAT")), None);
    }

    #[test]
    fn core_modules_are_told_how_to_become_components() {
        let plain = explained_text(r#"(module (func (export "_start")))"#);
        assert!(plain.starts_with("this is a core WebAssembly module, not a component. Add its WIT"), "{plain}");
        let with_wit = explained_text(r#"(module (@custom "component-type:x" ""))"#);
        assert!(with_wit.contains("`wasm-tools component new IN.wasm -o OUT.wasm`"), "{with_wit}");
        let import = r#"(import "wasi_snapshot_preview1" "fd_write" (func))"#;
        let command = explained_text(&format!(r#"(module {import} (func (export "_start")))"#));
        assert!(command.contains("--adapt wasi_snapshot_preview1.command.wasm"), "{command}");
        assert!(command.contains("--wasi-command"), "{command}");
        let reactor = explained_text(&format!(r#"(module {import} (data "\06_start"))"#));
        assert!(reactor.contains("--adapt wasi_snapshot_preview1.reactor.wasm"), "{reactor}");
    }

    #[test]
    fn each_kind_of_file_is_named() {
        let cases: [(&[u8], &str); 17] = [
            (b"", "the file is empty"),
            (b"\0as", "cut short"),
            (b"\0asm\x0d\0", "cut short"),
            (b"\0asm\x0a\0\x01\0", "binary format 0x0a"),
            (b"\0asm\x02\0\0\0", "unknown version (02 00 00 00)"),
            (b"\x7fELF\x02\x01", "precompiled component (.cwasm)"),
            (b"(component)", "WAT"),
            (b"\xef\xbb\xbf ;; a comment\n (; another ;)\n(module)", "WAT"),
            (b"// our world\npackage acme:x;", "a WIT file"),
            (b"<!DOCTYPE html><p>404", "an HTML page"),
            (b"import { x } from './x.js';", "JavaScript"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"PK\x03\x04", "zip"),
            (b"MZ\x90\0", "Windows"),
            (b"\x89PNG\r\n\x1a\n", "it begins with the bytes 89 50 4e 47 0d 0a 1a 0a"),
            (b"hello", "it begins with the bytes 68 65 6c 6c 6f"),
            (b"(; never closed", "it begins with the bytes"),
        ];
        for (bytes, part) in cases {
            let text = explained(bytes);
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_compiled_component_is_an_elf_file() {
        let compiled = component("(component)").serialize().expect("it serialises");
        assert!(explained(&compiled).contains(".cwasm"));
    }
}

mod missing {
    use super::*;

    fn check(text: &str, linker: &Linker<()>) -> Vec<(String, Vec<String>)> {
        let component = component(text);
        let missing = missing_imports(&component, &ENGINE, linker);
        assert_eq!(missing.is_empty(), linker.instantiate_pre(&component).is_ok(), "empty exactly when it links");
        missing.into_iter().map(|Missing { interface, items }| (interface, items)).collect()
    }

    fn listed(expected: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        let items = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        expected.iter().map(|(interface, list)| ((*interface).to_owned(), items(list))).collect()
    }

    /// A linker with functions without types, each as `interface#function`.
    fn linker(functions: &[&str]) -> Linker<()> {
        let mut linker = Linker::new(&ENGINE);
        for function in functions {
            let (interface, name) = function.split_once('#').expect("interface#function");
            let mut instance = linker.instance(interface).expect("a new instance");
            instance.func_new(name, |_, _, _, _| Ok(())).expect("a new function");
        }
        linker
    }

    const TWO_INTERFACES: &str = r#"(component
        (import "acme:a/one@1.2.0" (instance
            (type $r (record (field "x" u32) (field "y" (list string)))) (export "point" (type $point (eq $r)))
            (export "f" (func (param "p" $point) (result bool)))
            (export "g" (func))
            (export "h" (func async (param "x" (option $point))))))
        (import "acme:b/two@0.1.0" (instance
            (export "i" (func)) (export "j" (func (result (result u8 (error string)))))))
        (import "k" (func (param "x" u8)))
        (import "l" (func)))"#;

    #[test]
    fn every_missing_function_of_every_interface_is_listed() {
        assert_eq!(
            check(TWO_INTERFACES, &linker(&[])),
            listed(&[("acme:a/one@1.2.0", &["f", "g", "h"]), ("acme:b/two@0.1.0", &["i", "j"]), ("", &["k", "l"])])
        );
        let mut some = linker(&["acme:a/one@1.2.0#f", "acme:b/two@0.1.0#j"]);
        some.root().func_new("l", |_, _, _, _| Ok(())).expect("a new function");
        assert_eq!(check(TWO_INTERFACES, &some), listed(&[("acme:a/one@1.2.0", &["g", "h"]), ("acme:b/two@0.1.0", &["i"]), ("", &["k"])]));
        assert_eq!(check("(component)", &linker(&[])), listed(&[]));
    }

    #[test]
    fn versions_match_as_wasmtime_matches_them() {
        let importing =
            |version: &str| format!(r#"(component (import "a:b/c@{version}" (instance (export "f" (func)) (export "g" (func)))))"#);
        let cases = [
            ("0.2.3", "0.2.12", true),
            ("0.2.12", "0.2.3", true),
            ("1.4.0", "1.17.3", true),
            ("0.2.3", "0.3.0", false),
            ("1.0.0", "2.0.0", false),
            ("0.0.1", "0.0.2", false),
            ("0.2.0-draft", "0.2.0-draft2", false),
            ("0.2.0-draft", "0.2.0", false),
            ("0.2.0-draft", "0.2.0-draft", true),
        ];
        for (imported, registered, matches) in cases {
            let interface = format!("a:b/c@{imported}");
            let all = linker(&[&format!("a:b/c@{registered}#f"), &format!("a:b/c@{registered}#g")]);
            let expected = if matches { listed(&[]) } else { listed(&[(&interface, &["f", "g"])]) };
            assert_eq!(check(&importing(imported), &all), expected, "{imported} from {registered}");
            // What a matching version has is not called missing because of what it has not.
            let half = linker(&[&format!("a:b/c@{registered}#f")]);
            let expected: &[&str] = if matches { &["g"] } else { &["f", "g"] };
            assert_eq!(check(&importing(imported), &half), listed(&[(&interface, expected)]), "{imported} from {registered}");
        }
    }

    #[test]
    fn functions_that_are_there_but_do_not_fit_are_told_why() {
        let mut linker = Linker::<()>::new(&ENGINE);
        let mut instance = linker.instance("a:b/c@1.0.1").expect("a new instance");
        instance.func_wrap("f", |_, (_,): (String,)| Ok((1u32,))).expect("a new function");
        instance.func_wrap("g", |_, (_,): (u32,)| Ok(())).expect("a new function");
        instance.func_wrap("fine", |_, (list,): (Vec<Option<u8>>,)| Ok((list.len() as u64,))).expect("a new function");
        instance.func_new("late", |_, _, _, _| Ok(())).expect("a new function");
        instance.func_new_concurrent("early", |_, _, _, _| Box::pin(async { Ok(()) })).expect("a new function");
        let text = r#"(component (import "a:b/c@1.0.0" (instance
            (export "f" (func (param "a" u32) (result u32)))
            (export "g" (func (param "a" u32) (result string)))
            (export "fine" (func (param "a" (list (option u8))) (result u64)))
            (export "gone" (func))
            (export "late" (func async))
            (export "early" (func)))))"#;
        assert_eq!(
            check(text, &linker),
            listed(&[(
                "a:b/c@1.0.0",
                &[
                    "f: the component imports func(a: u32) -> u32, the function there is another (type mismatch with parameters: expected `string` found `u32`)",
                    "g: the component imports func(a: u32) -> string, the function there is another (type mismatch with results: expected 0-tuple, found 1-tuple)",
                    "gone",
                    "late: the component imports an async func, there is a plain one",
                    "early: the component imports a plain func, there is an async one",
                ]
            )])
        );
    }

    struct File;

    /// Two interfaces, the second with functions over the resources of the first.
    const RESOURCES: &str = r#"(component
        (import "a:fs/types@0.2.1" (instance $types
            (export "file" (type $file (sub resource)))
            (export "lock" (type $lock (sub resource)))
            (export "[method]file.read" (func (param "self" (borrow $file)) (param "n" u64) (result (list u8))))
            (export "[method]file.lock" (func (param "self" (borrow $file)) (result (own $lock))))
            (export "[constructor]file" (func (result (own $file))))
            (export "[static]lock.all" (func (result (list (own $lock)))))))
        (alias export $types "file" (type $file))
        (alias export $types "lock" (type $lock))
        (import "a:fs/open@0.2.1" (instance
            (alias outer 1 $file (type $outer))
            (export "file" (type $file (eq $outer)))
            (type $o (record (field "file" (own $file)) (field "name" string))) (export "opened" (type $opened (eq $o)))
            (export "open" (func (param "name" string) (result $opened)))
            (export "shut" (func (param "file" (own $file))))
            (export "free" (func)))))"#;

    fn file_linker(functions: &[&str]) -> Linker<()> {
        let mut linker = linker(functions);
        let mut types = linker.instance("a:fs/types@0.2.9").expect("an instance");
        types.resource("file", ResourceType::host::<File>(), |_, _| Ok(())).expect("a new resource");
        let mut open = linker.instance("a:fs/open@0.2.9").expect("an instance");
        open.func_wrap("shut", |_, (_,): (wasmtime::component::Resource<File>,)| Ok(())).expect("a new function");
        linker
    }

    #[test]
    fn resources_and_what_uses_them_are_listed_once_each() {
        assert_eq!(
            check(RESOURCES, &linker(&[])),
            listed(&[
                (
                    "a:fs/types@0.2.1",
                    &["resource file", "resource lock", "[method]file.read", "[method]file.lock", "[constructor]file", "[static]lock.all"]
                ),
                ("a:fs/open@0.2.1", &["open", "shut", "free"]),
            ])
        );
    }

    #[test]
    fn what_is_there_is_not_blamed_for_a_resource_that_is_missing() {
        let there = file_linker(&["a:fs/types@0.2.9#[method]file.read", "a:fs/types@0.2.9#[method]file.lock", "a:fs/open@0.2.9#open"]);
        assert_eq!(
            check(RESOURCES, &there),
            listed(&[("a:fs/types@0.2.1", &["resource lock", "[constructor]file", "[static]lock.all"]), ("a:fs/open@0.2.1", &["free"]),])
        );
    }

    #[test]
    fn without_its_resource_a_function_is_looked_up_and_not_compared() {
        let mut linker = linker(&[]);
        let mut open = linker.instance("a:fs/open@0.2.9").expect("an instance");
        open.func_wrap("shut", |_, (_,): (wasmtime::component::Resource<File>,)| Ok(())).expect("a new function");
        assert_eq!(check(RESOURCES, &linker)[1], listed(&[("a:fs/open@0.2.1", &["open", "free"])])[0]);

        // Neither what comes after it nor what does not use the resource hides behind it.
        let text = r#"(component
            (import "a:b/c" (instance
                (export "file" (type $file (sub resource)))
                (export "shut" (func (param "file" (own $file))))
                (export "gone" (func))
                (export "wrong" (func (param "x" u8))))))"#;
        let mut linker = Linker::<()>::new(&ENGINE);
        let mut instance = linker.instance("a:b/c").expect("an instance");
        instance.func_wrap("shut", |_, (_,): (wasmtime::component::Resource<File>,)| Ok(())).expect("a new function");
        instance.func_wrap("wrong", |_, (_,): (u16,)| Ok(())).expect("a new function");
        let wrong = "wrong: the component imports func(x: u8), the function there is another (type mismatch with parameters: expected `u16` found `u8`)";
        assert_eq!(check(text, &linker), listed(&[("a:b/c", &["resource file", "gone", wrong])]));
    }

    #[test]
    fn a_resource_that_is_only_where_it_is_used_blames_nothing_else() {
        let functions = ["a:fs/open@0.2.9#open", "a:fs/open@0.2.9#shut"];
        let mut linker = linker(&functions);
        let mut open = linker.instance("a:fs/open@0.2.9").expect("an instance");
        open.resource("file", ResourceType::host::<File>(), |_, _| Ok(())).expect("a new resource");
        assert_eq!(check(RESOURCES, &linker)[1], listed(&[("a:fs/open@0.2.1", &["free"])])[0]);
    }

    #[test]
    fn functions_over_another_resource_do_not_fit() {
        struct Other;
        let names = ["[method]file.read", "[method]file.lock", "[constructor]file", "[static]lock.all"];
        let names = names.map(|name| format!("a:fs/types@0.2.9#{name}"));
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.extend(["a:fs/open@0.2.9#open", "a:fs/open@0.2.9#free"]);
        let mut linker = file_linker(&names);
        let mut types = linker.instance("a:fs/types@0.2.9").expect("an instance");
        types.resource("lock", ResourceType::host::<Other>(), |_, _| Ok(())).expect("a new resource");
        assert_eq!(check(RESOURCES, &linker), listed(&[]));
        linker.allow_shadowing(true);
        let mut open = linker.instance("a:fs/open@0.2.9").expect("an instance");
        open.func_wrap("shut", |_, (_,): (wasmtime::component::Resource<Other>,)| Ok(())).expect("it shadows");
        assert_eq!(
            check(RESOURCES, &linker),
            listed(&[(
                "a:fs/open@0.2.1",
                &[
                    "shut: the component imports func(file: file), the function there is another (type mismatch with parameters: resource type mismatch)"
                ]
            )])
        );
    }

    #[test]
    fn every_kind_of_type_survives_the_check() {
        let text = r#"(component
            (import "a:b/c" (instance
                (export "r" (type $r (sub resource)))
                (type $e (enum "a" "b")) (export "e" (type $e2 (eq $e)))
                (type $f (flags "a" "b")) (export "f" (type $f2 (eq $f)))
                (type $v (variant (case "a" $e2) (case "b"))) (export "v" (type $v2 (eq $v)))
                (type $c (record (field "v" $v2) (field "f" $f2))) (export "c" (type $c2 (eq $c)))
                (export "x" (func (param "a" (tuple $c2 (list $c2) (list u8 3) (map string $v2)))
                    (param "b" (stream $e2)) (param "c" (future (result (error error-context)))) (param "d" (own $r))
                    (param "e" (option (borrow $r))) (param "g" (stream)) (result (result $c2 (error char)))))
                (export "y" (func)))))"#;
        let mut linker = linker(&["a:b/c#x"]);
        let mut instance = linker.instance("a:b/c").expect("an instance");
        instance.resource("r", ResourceType::host::<File>(), |_, _| Ok(())).expect("a new resource");
        assert_eq!(check(text, &linker), listed(&[("a:b/c", &["y"])]));
        assert_eq!(check(text, &self::linker(&[])), listed(&[("a:b/c", &["resource r", "x", "y"])]));
    }

    #[test]
    fn many_types_are_written_with_long_indices() {
        let records: String = (0..150)
            .map(|index| format!(r#"(type $d{index} (record (field "x" u8))) (export "t{index}" (type $t{index} (eq $d{index})))"#))
            .collect();
        let parameters: String = (0..150).map(|index| format!(r#"(param "p{index}" $t{index})"#)).collect();
        let text = format!(r#"(component (import "a:b/c" (instance {records} (export "x" (func {parameters})) (export "y" (func)))))"#);
        assert_eq!(check(&text, &linker(&["a:b/c#x"])), listed(&[("a:b/c", &["y"])]));
    }

    #[test]
    fn world_level_resources_and_other_kinds_of_import() {
        let text = r#"(component
            (import "r" (type $r (sub resource)))
            (import "use-r" (func (param "r" (own $r))))
            (import "m" (core module (export "f" (func))))
            (import "a:b/c" (instance
                (export "inner" (instance (export "g" (func)) (export "s" (type (sub resource)))))
                (export "f" (func)))))"#;
        let missing = check(text, &linker(&["a:b/c#f"]));
        assert_eq!(missing, listed(&[("", &["resource r", "use-r", "m"]), ("a:b/c", &["inner"])]));
        // A function where an interface or a resource should be.
        let mut wrong = linker(&["a:b/c#f"]);
        wrong.root().func_new("r", |_, _, _, _| Ok(())).expect("a new function");
        wrong.root().func_new("use-r", |_, _, _, _| Ok(())).expect("a new function");
        let missing = check(text, &wrong);
        assert_eq!(missing, listed(&[("", &["resource r: expected resource found func", "m"]), ("a:b/c", &["inner"])]));
    }

    #[test]
    fn what_no_import_alone_explains_is_told_in_wasmtimes_words() {
        let other = Engine::default();
        let linker = Linker::<()>::new(&other);
        let missing = missing_imports(&component("(component)"), &ENGINE, &linker);
        assert_eq!(missing.len(), 1);
        assert!(missing[0].items[0].contains("cross-`Engine`"), "{missing:?}");
    }
}
