import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Mask, SHORTEST } from "../../src/tenants/mask.js";

function masked(text: string, ...values: readonly string[]): string {
  return new Mask(values).apply(text);
}

describe("masking", () => {
  it("replaces a value wherever it stands", () => {
    expect(masked("hunter2-hunter2 and hunter2!", "hunter2")).toBe("***-*** and ***!");
    expect(masked("hunter2", "hunter2")).toBe("***");
    expect(masked("xhunter2x", "hunter2")).toBe("x***x");
  });

  it("gives a text without any back as it is", () => {
    const text = "nothing to hide, hunter3";
    expect(masked(text, "hunter2")).toBe(text);
    expect(masked(text)).toBe(text);
    expect(masked("", "hunter2")).toBe("");
  });

  it("takes overlapping values for one, and neighbours for two", () => {
    expect(masked("<abcdefghij>", "abcdefg", "efghij")).toBe("<***>");
    expect(masked("<abcdefghijkl>", "abcdef", "ghijkl")).toBe("<******>");
    expect(masked("<abcdefghij>", "abcdef", "abcdefgh")).toBe("<***ij>");
  });

  it("finds a value's lines, and how JSON and URLs write it", () => {
    const pem = "-----BEGIN KEY-----\nMIIEvQIBADANBg\r\n  kqhkiG9w0BAQEF\n";
    expect(masked("line: kqhkiG9w0BAQEF.", pem)).toBe("line: ***.");
    expect(masked(JSON.stringify({ key: 'say "hello"' }), 'say "hello"')).toBe('{"key":"***"}');
    expect(masked(JSON.stringify({ pem }), pem)).toBe('{"pem":"***"}');
    expect(masked("GET /?token=a%2Fb%26c%C3%A9d&x=1", "a/b&céd")).toBe("GET /?token=***&x=1");
  });

  it("masks a beginning that the end of the text cuts off", () => {
    expect(masked("token: correct-ho", "correct-horse-battery")).toBe("token: ***");
    expect(masked("token: corre", "correct-horse-battery")).toBe("token: corre");
    expect(masked("correct-house", "correct-horse-battery")).toBe("correct-house");
  });

  it("takes a value that agrees for 64 characters for the whole, where it is cut in the middle", () => {
    const long = Array.from({ length: 50 }, (_, i) => 1000 + i).join("");
    expect(masked(`<${long.slice(0, 64)}${"x".repeat(long.length - 64)}tail`, long)).toBe("<***tail");
    expect(masked(`<${long.slice(0, 63)}${"x".repeat(long.length - 63)}tail`, long)).toContain(long.slice(0, 63));
    expect(masked(`<${long}>`, long)).toBe("<***>");
  });

  it("masks values of three to five characters as whole words alone", () => {
    expect(masked("pin=4711; 47112 a4711 4711", "4711")).toBe("pin=***; 47112 a4711 ***");
    expect(masked("a+b a+bc (a+b)", "a+b\n")).toBe("*** a+bc (***)");
    expect(masked("- [x]- .*", "[x]-", "...")).toBe("- *** .*");
    expect(masked("no, on", "no")).toBe("no, on");
  });

  it("masks to the end of the text rather than compare very many values that begin alike", () => {
    const values = Array.from({ length: 50 }, (_, i) => `common-prefix-${i}-tail`);
    expect(masked("see common-prefix-3-tail and more", ...values)).toBe("see ***");
  });

  it("never leaves a value in a text, whatever surrounds it", () => {
    const value = fc.string({ minLength: SHORTEST, maxLength: 80, unit: "binary" });
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 6 }), fc.array(fc.string({ unit: "binary" })), (values, between) => {
        const text = between.map((part, i) => part + (values[i % values.length] as string)).join("");
        const out = masked(text, ...values);
        for (const each of values) if (!each.includes("*")) expect(out.includes(each)).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it("changes nothing outside of what it finds", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b") });
    fc.assert(
      fc.property(text, fc.string({ unit: fc.constantFrom("a", "b"), minLength: SHORTEST, maxLength: 9 }), (around, value) => {
        const expected = around.includes(value) || endsLike(around, value);
        expect(masked(around, value) !== around).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  it("takes a time that does not grow with the number of values", () => {
    const text = "the quick brown fox jumps over the lazy dog ".repeat(1000);
    const time = (mask: Mask): number => {
      const rounds = Array.from({ length: 9 }, () => {
        const start = performance.now();
        mask.apply(text);
        return performance.now() - start;
      });
      return Math.min(...rounds);
    };
    const many = new Mask(Array.from({ length: 1000 }, (_, i) => `${(i * 7919).toString(36)}-secret-${i}`));
    expect(time(many)).toBeLessThan(20 * time(new Mask(["one-secret"])) + 5);
  });
});

/** Whether the text ends in the beginning of the value. */
function endsLike(text: string, value: string): boolean {
  for (let length = SHORTEST; length < value.length; length++) if (text.endsWith(value.slice(0, length))) return true;
  return false;
}
