;; Passes calls on to `demo:math/calc`. No more than that: what it adds to a call is the call itself.
(component
  (import "demo:math/calc" (instance $calc
    (export "add" (func (param "a" u32) (param "b" u32) (result u32)))
    (export "divide" (func (param "a" u64) (param "b" u64) (result (result (tuple u64 u64) (error string)))))
    (export "crash" (func))))

  ;; Memory for what does not fit into registers; never given back, as an instance is not used for long.
  (core module $memory
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 64))
    (func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1))) (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $new)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $bytes))
  (alias core export $memory "realloc" (core func $realloc))

  (core func $add (canon lower (func $calc "add")))
  (core func $divide (canon lower (func $calc "divide") (memory $bytes) (realloc $realloc)))
  (core func $crash (canon lower (func $calc "crash")))

  (core module $relay
    (import "calc" "add" (func $add (param i32 i32) (result i32)))
    (import "calc" "divide" (func $divide (param i64 i64 i32)))
    (import "calc" "crash" (func $crash))
    (func (export "add") (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1)))
    ;; The answer is left where the call put it: at 0.
    (func (export "divide") (param i64 i64) (result i32)
      (call $divide (local.get 0) (local.get 1) (i32.const 0))
      (i32.const 0))
    (func (export "crash") (call $crash))
    ;; Adds 1 as many times as it is told.
    (func (export "many") (param $times i32) (result i32)
      (local $sum i32)
      (block $done
        (loop $next
          (br_if $done (i32.ge_u (local.get $sum) (local.get $times)))
          (local.set $sum (call $add (local.get $sum) (i32.const 1)))
          (br $next)))
      (local.get $sum)))
  (core instance $relay (instantiate $relay
    (with "calc" (instance (export "add" (func $add)) (export "divide" (func $divide)) (export "crash" (func $crash))))))

  (func $add-out (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $relay "add")))
  (func $divide-out (param "a" u64) (param "b" u64) (result (result (tuple u64 u64) (error string)))
    (canon lift (core func $relay "divide") (memory $bytes) (realloc $realloc)))
  (func $crash-out (canon lift (core func $relay "crash")))
  (func $many-out (param "times" u32) (result u32) (canon lift (core func $relay "many")))
  (instance $out
    (export "add" (func $add-out))
    (export "divide" (func $divide-out))
    (export "crash" (func $crash-out))
    (export "many" (func $many-out)))
  (export "demo:app/relay" (instance $out)))
