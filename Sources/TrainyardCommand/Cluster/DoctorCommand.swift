import Encoding
import Telemetry

/// `trainyard doctor`: what is wrong with an installation, one line each.
struct DoctorCommand: Sendable {
    let options: DoctorOptions
    let console: Console
    let complaints: Console

    /// Exit status 1 when something is bad.
    func run() async -> Int32 {
        do throws(RunError) {
            let access = try ClusterAccess(options.cluster)
            let doctor = Doctor(access: access, definitions: try EmbeddedFiles.crds(), now: SystemClock().now)
            let findings = await doctor.findings()
            console.line(Self.text(findings))
            return findings.contains { $0.verdict == .bad } ? RunError(.failed, "").exitStatus : 0
        } catch {
            complaints.line("trainyard: \(error.message)")
            return error.exitStatus
        }
    }

    static func text(_ findings: [Doctor.Finding]) -> String {
        findings.map { finding in
            let mark = "[\(finding.verdict.rawValue)]"
            return mark + String(repeating: " ", count: max(1, 7 - mark.count)) + "\(finding.subject): "
                + Format.line(finding.detail, limit: 500)
        }.joined(separator: "\n")
    }
}
