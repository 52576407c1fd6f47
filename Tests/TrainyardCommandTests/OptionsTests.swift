import Testing

@testable import TrainyardCommand

@Suite struct `Command line` {
    private static let file = "crds/examples/fashion-mnist.yaml"

    @Test(arguments: [
        ("nothing", [], Invocation.help(.overview)),
        ("help", ["--help"], .help(.overview)),
        ("help on a command", ["help", "sandbox", "run"], .help(.sandboxRun)),
        ("help as an option", ["sandbox", "run", file, "-h"], .help(.sandboxRun)),
        ("version", ["version"], .version),
        ("a file", ["sandbox", "run", file], .sandboxRun(SandboxRunOptions(files: [file]))),
        ("a file behind --", ["sandbox", "run", "--", "-f"], .sandboxRun(SandboxRunOptions(files: ["-f"]))),
        (
            "everything",
            [
                "sandbox", "run", file, "--json", "--out=o", "--set", "spec.a.b=c=d", "--set=spec.e=", "--keep",
                "--state-dir", "s",
            ],
            .sandboxRun(
                SandboxRunOptions(
                    files: [file], isJSON: true, outputDirectory: "o",
                    assignments: [
                        Assignment(path: ["spec", "a", "b"], value: "c=d"), Assignment(path: ["spec", "e"], value: ""),
                    ], keepsState: true, stateDirectory: "s"))
        ),
        (
            "up", ["sandbox", "up", "--port", "8001", "--no-operator"],
            .sandboxUp(SandboxUpOptions(startsOperator: false, port: 8001))
        ),
        (
            "plan",
            ["plan", file, "b.yaml", "--json", "--zones=us-central1-a,us-central1-f", "--price-file", "p.json"],
            .plan(
                PlanOptions(
                    files: [file, "b.yaml"], isJSON: true, zones: ["us-central1-a", "us-central1-f"],
                    priceFile: "p.json"))
        ),
        ("plan of standard input", ["plan", "-"], .plan(PlanOptions(files: ["-"]))),
        ("help on plan", ["help", "plan"], .help(.plan)),
        ("help on artifact", ["artifact", "-h"], .help(.artifact)),
        ("ls", ["artifact", "ls", "gs://b/p/"], .artifact(ArtifactOptions(verb: .ls, place: "gs://b/p/"))),
        (
            "pull", ["artifact", "pull", "gs://b/p/", "here", "--version=v1", "--parallel", "4", "--json"],
            .artifact(
                ArtifactOptions(
                    verb: .pull, place: "gs://b/p/", folder: "here", version: "v1", parallelism: 4, isJSON: true))
        ),
        (
            "push", ["artifact", "push", "here", "gs://b/p/", "--endpoint", "http://127.0.0.1:1"],
            .artifact(
                ArtifactOptions(verb: .push, place: "gs://b/p/", folder: "here", endpoint: "http://127.0.0.1:1"))
        ),
    ])
    func `is read`(_ name: String, _ arguments: [String], _ expected: Invocation) throws {
        #expect(try Invocation(arguments: arguments) == expected)
    }

    @Test(arguments: [
        ("unknown command", ["sandbx"], "there is no command 'sandbx'; did you mean 'sandbox'?", HelpTopic.overview),
        ("artifact alone", ["artifact"], "artifact needs a command: ls, pull or push", .artifact),
        (
            "unknown artifact verb", ["artifact", "pul"], "there is no command 'artifact pul'; did you mean 'pull'?",
            .artifact
        ),
        (
            "no place", ["artifact", "ls", "b/p"],
            "'b/p' is no place in Cloud Storage; write it like this: trainyard artifact ls gs://BUCKET/PREFIX/",
            .artifact
        ),
        (
            "push the wrong way", ["artifact", "push", "gs://b/p/", "here"],
            "'here' is no place in Cloud Storage; write it like this: trainyard artifact push FOLDER gs://BUCKET/PREFIX/",
            .artifact
        ),
        (
            "pull nothing", ["artifact", "pull"],
            "write it like this: trainyard artifact pull gs://BUCKET/PREFIX/ [FOLDER]", .artifact
        ),
        (
            "too many at a time", ["artifact", "ls", "gs://b/", "--parallel", "99"],
            "--parallel must be a number from 1 to 64, not '99'", .artifact
        ),
        ("sandbox alone", ["sandbox"], "sandbox needs a command: run or up", .sandbox),
        ("unknown verb", ["sandbox", "rnu"], "there is no command 'sandbox rnu'; did you mean 'run'?", .sandbox),
        (
            "no file", ["sandbox", "run", "--json"],
            "sandbox run needs a file, for example crds/examples/fashion-mnist.yaml", .sandboxRun
        ),
        (
            "unknown option", ["sandbox", "run", "f", "--jsno"],
            "there is no option '--jsno'; did you mean '--json'?", .sandboxRun
        ),
        ("missing value", ["sandbox", "run", "f", "--out"], "--out needs a value", .sandboxRun),
        ("empty value", ["sandbox", "run", "f", "--out="], "--out needs a value", .sandboxRun),
        ("option for a value", ["sandbox", "run", "f", "--out", "--json"], "--out needs a value", .sandboxRun),
        ("value for a flag", ["sandbox", "run", "f", "--json=yes"], "--json takes no value ('yes')", .sandboxRun),
        (
            "set without =", ["sandbox", "run", "f", "--set", "spec.a"],
            "--set needs path=value, for example --set spec.trainer.hyperparameters.epochs=5", .sandboxRun
        ),
        (
            "set with an empty part", ["sandbox", "run", "f", "--set", "spec..a=1"],
            "--set path 'spec..a' has an empty part; write it like --set spec.trainer.hyperparameters.epochs=5",
            .sandboxRun
        ),
        (
            "port", ["sandbox", "up", "--port", "70000"],
            "--port must be a number from 0 to 65535, not '70000'", .sandboxUp
        ),
        (
            "file for up", ["sandbox", "up", "f.yaml"],
            "sandbox up takes no file ('f.yaml'): apply it with kubectl", .sandboxUp
        ),
        ("plan without a file", ["plan"], "plan needs a file, for example crds/examples/plan.yaml", .plan),
        (
            "plan with a region", ["plan", "f", "--zones", "us-central1"],
            "--zones: 'us-central1' is no zone; write them like us-central1-a,us-central1-b", .plan
        ),
        ("version with more", ["version", "x"], "version takes no argument ('x')", .overview),
        (
            "help on nothing", ["help", "sandbox", "rn"],
            "there is no help on 'sandbox rn'; did you mean 'sandbox run'?", .overview
        ),
    ])
    func `is refused with a sentence`(
        _ name: String, _ arguments: [String], _ message: String, _ topic: HelpTopic
    ) {
        #expect(throws: UsageError(message: message, topic: topic)) { try Invocation(arguments: arguments) }
    }

    @Test(arguments: HelpTopic.allCases)
    func `help fits a terminal of 120 columns`(_ topic: HelpTopic) {
        let lines = (HelpText.text(topic) + HelpText.usage(topic)).split(separator: "\n")
        #expect(lines.filter { $0.count > 118 } == [])
    }
}
