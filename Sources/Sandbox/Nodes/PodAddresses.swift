import Encoding
import Glibc
import Synchronization

/// Names of pods as addresses of this machine.
///
/// All pods share the machine's loopback, so a pod's name alone cannot tell them apart where they listen: each pair of a
/// name and a port gets a free port of its own, the same for every pod that speaks of it.
final class PodAddresses: Sendable {
    private struct State {
        /// By `namespace/subdomain`, then `host:port`.
        var ports: [String: [String: UInt16]] = [:]
        var next: UInt16
    }

    /// Below the kernel's range for outgoing connections, so that none of these takes a port before its pod listens.
    private static let range: Range<UInt16> = 20_000..<32_000
    private let state: Mutex<State>

    init() {
        // Sandboxes side by side begin at different places.
        let offset = UInt16(truncatingIfNeeded: UInt32(truncatingIfNeeded: getpid()) &* 97 % 12_000)
        state = Mutex(State(next: PodAddresses.range.lowerBound + offset))
    }

    /// The text with `<host>.<subdomain>.<namespace>.svc[.cluster.local][:port]` of a pod's own subdomain replaced by
    /// `127.0.0.1` and the pair's port. Other names stay.
    func rewritten(_ text: String, for pod: PodView) -> String {
        guard let subdomain = pod.object.value(at: ["spec", "subdomain"])?.stringValue else { return text }
        let domain = ".\(subdomain).\(pod.namespace).svc"
        var result = ""
        var rest = Substring(text)
        while let found = rest.firstRange(of: domain) {
            let head = rest[..<found.lowerBound]
            let host = String(head.reversed().prefix { $0.isLetter || $0.isNumber || $0 == "-" }.reversed())
            var tail = rest[found.upperBound...]
            if tail.hasPrefix(".cluster.local") { tail = tail.dropFirst(14) }
            let digits = tail.hasPrefix(":") ? tail.dropFirst().prefix { $0.isNumber } : ""
            guard !host.isEmpty else {
                result += rest[..<found.upperBound]
                rest = rest[found.upperBound...]
                continue
            }
            result += head.dropLast(host.count) + "127.0.0.1"
            if let port = UInt16(digits) {
                result += ":\(self.port("\(host):\(port)", in: "\(pod.namespace)/\(subdomain)"))"
                tail = tail.dropFirst(digits.count + 1)
            }
            rest = tail
        }
        return result + rest
    }

    private func port(_ place: String, in domain: String) -> UInt16 {
        state.withLock { state in
            if let port = state.ports[domain]?[place] { return port }
            let taken = Set(state.ports.values.flatMap(\.values))
            for _ in 0..<PodAddresses.range.count {
                let port = state.next
                state.next = port + 1 < PodAddresses.range.upperBound ? port + 1 : PodAddresses.range.lowerBound
                guard !taken.contains(port), LocalPort.isFree(port) else { continue }
                state.ports[domain, default: [:]][place] = port
                return port
            }
            return 0  // Twelve thousand pods that listen: whoever connects is told that it cannot.
        }
    }

    /// Forgets the ports of domains without pods.
    func keep(_ pods: [PodView]) {
        let domains = Set(
            pods.map { "\($0.namespace)/\($0.object.value(at: ["spec", "subdomain"])?.stringValue ?? "")" })
        state.withLock { state in state.ports = state.ports.filter { domains.contains($0.key) } }
    }
}
