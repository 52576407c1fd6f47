import FoundationEssentials
import System

/// Somebody else's opinion.
enum PythonProgram {
    /// The status that it ended with; nil when it did not end within a minute.
    static func exit(_ arguments: String...) async throws -> Int32? {
        let environment = ["PATH", "HOME"].compactMap { name in
            ProcessInfo.processInfo.environment[name].map { "\(name)=\($0)" }
        }
        let pid = try Subprocess.start("/usr/bin/env", ["python3"] + arguments, environment: environment)
        defer { Subprocess.reap(pid) }
        for _ in 0..<6000 {
            switch Subprocess.exit(of: pid) {
            case .status(let status)?: return status
            case .signal?: return nil
            case nil: try await Task.sleep(for: .milliseconds(10))
            }
        }
        return nil
    }
}
