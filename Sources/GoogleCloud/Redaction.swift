/// Takes credentials out of texts that others wrote: error messages of services and of what stands in between.
///
/// The token of the call itself is taken out of the reply's body before anybody reads it (`HTTPResponse.hiding`); this
/// is for all others, known by their form.
enum Redaction {
    static func scrubbed(_ text: String) -> String {
        var text = text
        // Built here: a Regex may not be shared between tasks.
        text = text.replacing(
            /(?i)(authorization["']?\s*[:=]\s*["']?)(?:(?:bearer|basic)\s+)?[^\s"',;<>}]+/, with: { "\($0.1)***" })
        text = text.replacing(/(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+\/=%-]{12,}/, with: { "\($0.1) ***" })
        text = text.replacing(fields, with: { "\($0.1)***" })
        // Google's access tokens, refresh tokens, client secrets and API keys; JSON web tokens.
        text = text.replacing(/ya29\.[A-Za-z0-9._~-]+/, with: { _ in "***" })
        text = text.replacing(/1\/\/[A-Za-z0-9_-]{10,}/, with: { _ in "***" })
        text = text.replacing(/GOCSPX-[A-Za-z0-9_-]+/, with: { _ in "***" })
        text = text.replacing(/AIza[A-Za-z0-9_-]{20,}/, with: { _ in "***" })
        return text.replacing(/eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]+){1,2}/, with: { _ in "***" })
    }

    /// `name=value`, `"name": "value"` and `name: value` of what is a credential in a URL, a form or a JSON object.
    private static var fields: Regex<(Substring, Substring)> {
        #/
        (?i) \b (
            (?: access_?token | refresh_?token | id_?token | subject_?token | client_?secret | assertion | upload_id
                | x-goog-signature | x-goog-credential | x-goog-security-token | signature | password )
            ["']? \s* [=:] \s* ["']?
        )
        [^\s"'&<>,;}]+
        /#
    }
}
