;; `spin(rounds)` computes for a while and gives what came of it.
(component
  (core module $spin
    (func $spin (export "spin") (param $rounds i32) (result i64)
      (local $x i64)
      (local.set $x (i64.const 88172645463325252))
      (block $done
        (loop $next
          (br_if $done (i32.eqz (local.get $rounds)))
          (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
          (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
          (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
          (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
          (br $next)))
      (local.get $x)))
  (core instance $spin (instantiate $spin))
  (func $out (param "rounds" u32) (result u64) (canon lift (core func $spin "spin")))
  (instance $spin-out (export "spin" (func $out)))
  (export "bench:work/spin@1.0.0" (instance $spin-out)))
