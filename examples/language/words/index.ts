/**
 * Looks for the small words that each language cannot do without. Nothing is prepared, so an instance is there at once; every
 * text is cut into words, and each is looked up.
 */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  de: [
    "der",
    "die",
    "das",
    "und",
    "in",
    "zu",
    "den",
    "nicht",
    "von",
    "sie",
    "ist",
    "des",
    "sich",
    "mit",
    "dem",
    "es",
    "ein",
    "auf",
    "auch",
  ],
  en: ["the", "of", "and", "to", "in", "a", "is", "that", "it", "was", "for", "on", "are", "as", "with", "his", "they", "be", "at"],
  es: ["de", "la", "que", "el", "en", "y", "a", "los", "se", "del", "las", "un", "por", "con", "no", "una", "su", "para", "es"],
  fr: ["de", "la", "le", "et", "les", "des", "en", "un", "du", "une", "que", "est", "pour", "qui", "dans", "a", "par", "plus", "pas"],
};

interface Guess {
  readonly language: string;
  readonly certainty: number;
}

export const language = {
  detect(text: string): Guess | undefined {
    const found: Record<string, number> = { de: 0, en: 0, es: 0, fr: 0 };
    let all = 0;
    for (const word of text.toLowerCase().split(/[^\p{L}]+/u)) {
      for (const [name, words] of Object.entries(WORDS)) {
        if (!words.includes(word)) continue;
        found[name] = (found[name] ?? 0) + 1;
        all += 1;
      }
    }
    if (all === 0) return undefined;
    const [best, hits] = Object.entries(found).reduce((most, each) => (each[1] > most[1] ? each : most));
    return { language: best, certainty: hits / all };
  },
};
