import Encoding
import Telemetry

/// Replaces what differs by nature (uids, revisions, recent times, the test's namespace) by names that stay the same
/// from run to run: the first uid of a scenario is `uid-1` wherever it is shown, and so for revisions, so that "the same
/// as before" is compared too.
struct Masks {
    private var uids: [String: String] = [:]
    private var revisions: [String: String] = [:]
    private var words: [(text: String, name: String)]
    private let now: Timestamp
    var hidesManagedFields = true

    init(namespace: String) {
        words = [(namespace, "NS")]
        now = SystemClock().now
    }

    /// Shows `name` wherever `text` is found.
    mutating func hide(_ text: String, as name: String) { words.append((text, name)) }

    mutating func masked(_ value: JSONValue) -> JSONValue {
        learnUIDs(value)
        return masked(value, key: "", parent: .null)
    }

    /// Uids are also said in other places than their own, which may come before it.
    private mutating func learnUIDs(_ value: JSONValue) {
        if let uid = value.value(at: ["metadata", "uid"])?.stringValue, Masks.isUID(uid) {
            _ = Masks.name(uid, "uid", in: &uids)
        }
        for item in value["items"]?.arrayValue ?? [] { learnUIDs(item) }
    }

    private mutating func masked(_ value: JSONValue, key: String, parent: JSONValue) -> JSONValue {
        switch value {
        case .object(var members):
            if hidesManagedFields, members["managedFields"] != nil { members["managedFields"] = "…" }
            // Sorted by time, which has whole seconds: the order depends on how fast the test ran.
            if let entries = members["managedFields"]?.arrayValue {
                members["managedFields"] = .array(Masks.sorted(entries))
            }
            for name in members.keys.sorted() {
                guard let member = members[name] else { continue }
                members[name] = masked(member, key: name, parent: key == "metadata" ? parent : value)
            }
            return .object(members)
        case .array(let elements):
            var result: [JSONValue] = []
            for element in elements { result.append(masked(element, key: key, parent: value)) }
            return .array(result)
        case .string(let text): return .string(masked(text, key: key, parent: parent))
        default: return value
        }
    }

    private mutating func masked(_ text: String, key: String, parent: JSONValue) -> String {
        switch key {
        case "uid" where Masks.isUID(text): return Masks.name(text, "uid", in: &uids)
        case "resourceVersion" where Masks.isNumber(text) && text != "0":
            // A list's revision is the store's, which others move too.
            let kind = parent["kind"]?.stringValue ?? ""
            let isBookmark =
                parent["kind"] != nil && parent["metadata"] != nil && parent.value(at: ["metadata", "name"]) == nil
            if kind.hasSuffix("List") || kind == "Table" || isBookmark {
                return "<revision>"
            }
            return Masks.name(text, "rv", in: &revisions)
        case "continue": return text.isEmpty ? "" : "<token>"
        case "clusterIP", "clusterIPs": return text.hasPrefix("10.96.") ? "10.96.<n>.<n>" : text
        case "cells": return Masks.isAge(text) ? "<age>" : self.text(text)
        default:
            if let time = Timestamp(text), abs(time.seconds - now.seconds) < 86_400 {
                return text.contains(".") ? "<time.fraction>" : "<time>"
            }
            return self.text(text)
        }
    }

    /// A text with every known uid, revision and word replaced.
    func text(_ text: String) -> String {
        var result = text
        for (word, name) in words { result = result.replacing(word, with: name) }
        for (uid, name) in uids { result = result.replacing(uid, with: name) }
        // Revisions are numbers, and so are status codes and lengths: replaced only as whole words of messages that
        // speak of revisions.
        guard result.contains("ResourceVersion") || result.contains("resource version") else { return result }
        var words: [String] = []
        for word in result.split(separator: " ", omittingEmptySubsequences: false) {
            let number = String(word.filter(\.isNumber))
            let rest = word.drop { $0 == "\"" || $0 == "(" }.drop(while: \.isNumber)
            let isBare = word.drop { !$0.isNumber }.prefix(while: \.isNumber).count == number.count && rest.count <= 2
            if number.count >= 2, isBare, let name = revisions[String(number)] {
                words.append(String(word).replacing(number, with: name))
            } else {
                words.append(String(word))
            }
        }
        return words.joined(separator: " ")
    }

    private static func name(_ text: String, _ prefix: String, in names: inout [String: String]) -> String {
        if let name = names[text] { return name }
        let name = "\(prefix)-\(names.count + 1)"
        names[text] = name
        return name
    }

    /// But for the one that scenarios make up.
    private static func isUID(_ text: String) -> Bool {
        text.count == 36 && !text.hasPrefix("11111111") && text.allSatisfy { $0.isHexDigit || $0 == "-" }
    }

    private static func sorted(_ entries: [JSONValue]) -> [JSONValue] {
        func key(_ entry: JSONValue) -> String {
            ["operation", "manager", "subresource"].map { entry[$0]?.stringValue ?? "" }.joined(separator: " ")
        }
        return entries.sorted { key($0) < key($1) }
    }

    private static func isNumber(_ text: String) -> Bool { !text.isEmpty && text.allSatisfy(\.isNumber) }

    /// `3s`, as an age that depends on how fast the test ran, or `2y325d`, as one that depends on the day.
    private static func isAge(_ text: String) -> Bool {
        if text.last == "d", let years = text.firstIndex(of: "y") {
            return isNumber(String(text[..<years])) && isNumber(String(text[text.index(after: years)...].dropLast()))
        }
        return text.count <= 3 && text.last == "s" && isNumber(String(text.dropLast()))
    }
}
