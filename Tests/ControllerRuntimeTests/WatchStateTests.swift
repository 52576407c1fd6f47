import ControllerRuntime
import HTTP
import Testing

private let expired = APIError(.expired, operation: "", message: "")
private let unavailable = APIError(.unavailable, operation: "", message: "")
private let limited = APIError(.rateLimited, operation: "", message: "", retryAfter: .seconds(7))

private func watching(_ version: String = "5") -> WatchState {
    var state = WatchState(backoff: Backoff(initial: .seconds(1), maximum: .seconds(8)))
    _ = state.start()
    #expect(state.pageReceived(resourceVersion: version, continueToken: nil) == .watch(resourceVersion: version))
    return state
}

@Suite struct WatchStateTests {
    @Test func `it lists page by page and watches from the list's version`() {
        var state = WatchState()
        #expect(state.start() == .list(continueToken: nil))
        #expect(state.pageReceived(resourceVersion: "4", continueToken: "t") == .list(continueToken: "t"))
        #expect(state.pageReceived(resourceVersion: "4", continueToken: nil) == .watch(resourceVersion: "4"))
    }

    @Test func `a page that fails is asked for again, with its token`() {
        var state = WatchState(backoff: Backoff(initial: .seconds(1), maximum: .seconds(8)))
        _ = state.pageReceived(resourceVersion: "4", continueToken: "t")
        #expect(state.listFailed(unavailable, random: 0.5) == .wait(.milliseconds(500)))
        #expect(state.waitEnded() == .list(continueToken: "t"))
        #expect(state.listFailed(unavailable, random: 0.5) == .wait(.seconds(1)))
    }

    @Test func `a token that expired on page three begins a new list`() {
        var state = WatchState()
        _ = state.pageReceived(resourceVersion: "4", continueToken: "t1")
        _ = state.pageReceived(resourceVersion: "4", continueToken: "t2")
        _ = state.listFailed(expired, random: 0.5)
        #expect(state.waitEnded() == .list(continueToken: nil))
        // The first page of the new list fails too: no old token comes back.
        _ = state.listFailed(unavailable, random: 0.5)
        #expect(state.waitEnded() == .list(continueToken: nil))
    }

    @Test func `a watch resumes from the last event or bookmark`() {
        var state = watching("5")
        state.eventReceived(resourceVersion: "6")
        state.eventReceived(resourceVersion: "9")
        #expect(state.watchEnded(after: .zero, random: 0.5) == .watch(resourceVersion: "9"))
    }

    @Test func `a watch that lived long enough resumes at once, an instant end waits longer each time`() {
        var state = watching()
        #expect(state.watchEnded(after: .seconds(1), random: 0.5) == .watch(resourceVersion: "5"))
        #expect(state.watchEnded(after: .milliseconds(5), random: 0.5) == .wait(.milliseconds(500)))
        #expect(state.waitEnded() == .watch(resourceVersion: "5"))
        #expect(state.watchEnded(after: .milliseconds(5), random: 0.5) == .wait(.seconds(1)))
        state.eventReceived(resourceVersion: "6")
        #expect(state.watchEnded(after: .milliseconds(5), random: 0.5) == .watch(resourceVersion: "6"))
    }

    @Test func `a broken connection resumes after a wait, without a list`() {
        var state = watching()
        #expect(state.watchFailed(unavailable, random: 0.5) == .wait(.milliseconds(500)))
        #expect(state.waitEnded() == .watch(resourceVersion: "5"))
    }

    @Test func `the server's wish for a longer wait is honoured`() {
        var state = watching()
        #expect(state.watchFailed(limited, random: 0.5) == .wait(.seconds(7)))
    }

    @Test func `a forgotten version lists at once the first time, and slowly when it comes again`() {
        var state = watching()
        #expect(state.watchFailed(expired, random: 0.5) == .list(continueToken: nil))
        #expect(state.pageReceived(resourceVersion: "20", continueToken: nil) == .watch(resourceVersion: "20"))
        #expect(state.watchFailed(expired, random: 0.5) == .wait(.seconds(1)))
        #expect(state.waitEnded() == .list(continueToken: nil))
        #expect(state.pageReceived(resourceVersion: "30", continueToken: nil) == .watch(resourceVersion: "30"))
        state.eventReceived(resourceVersion: "31")
        #expect(state.watchFailed(expired, random: 0.5) == .list(continueToken: nil))
    }
}
