;; `step(0)` is 0; any other asks whoever is next for one step less, and adds one.
(component
  (import "demo:chain/next@1.0.0" (instance $next (export "step" (func (param "depth" u32) (result u32)))))
  (core func $step (canon lower (func $next "step")))
  (core module $chain
    (import "next" "step" (func $step (param i32) (result i32)))
    (func (export "step") (param $depth i32) (result i32)
      (if (result i32) (i32.eqz (local.get $depth))
        (then (i32.const 0))
        (else (i32.add (call $step (i32.sub (local.get $depth) (i32.const 1))) (i32.const 1))))))
  (core instance $chain (instantiate $chain (with "next" (instance (export "step" (func $step))))))
  (func $step-out (param "depth" u32) (result u32) (canon lift (core func $chain "step")))
  (instance $out (export "step" (func $step-out)))
  (export "demo:chain/next@1.0.0" (instance $out)))
