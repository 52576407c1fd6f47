import ControllerRuntime
import HTTP
import Testing

private let expired = APIError(.expired, operation: "", message: "")
private let unavailable = APIError(.unavailable, operation: "", message: "")
private let limited = APIError(.rateLimited, operation: "", message: "", retryAfter: .seconds(7))

private let refused = APIError(.invalid, operation: "", message: "sendInitialEvents is forbidden for watch")
private let tooLarge = APIError(
    .timeout, operation: "", message: "", reason: "ResourceVersionTooLarge", httpStatus: 504, retryAfter: .seconds(1))
private let backoff = Backoff(initial: .seconds(1), maximum: .seconds(8))

/// Watching after a list in pages.
private func watching(_ version: String = "5", streams: Bool = false) -> WatchState {
    var state = WatchState(streams: streams, backoff: backoff)
    _ = state.start()
    #expect(state.pageReceived(resourceVersion: version, continueToken: nil) == .watch(resourceVersion: version))
    return state
}

@Suite struct WatchStateTests {
    @Test func `it reads everything in one watch and goes on in it`() {
        var state = WatchState()
        #expect(state.start() == .stream)
        // An object's own version is no place to resume from before all objects are here.
        state.eventReceived(resourceVersion: "3")
        state.initialEventsEnded(resourceVersion: "9")
        #expect(state.watchEnded(after: .seconds(300), random: 0.5) == .watch(resourceVersion: "9"))
    }

    @Test func `a server that refuses is read in pages, now and later`() {
        var state = WatchState(backoff: backoff)
        _ = state.start()
        #expect(state.watchFailed(refused, after: .zero, random: 0.5) == .list(continueToken: nil))
        #expect(state.pageReceived(resourceVersion: "4", continueToken: "t") == .list(continueToken: "t"))
        #expect(state.pageReceived(resourceVersion: "4", continueToken: nil) == .watch(resourceVersion: "4"))
        #expect(state.watchFailed(expired, after: .zero, random: 0.5) == .list(continueToken: nil))
    }

    @Test func `initial events that do not end make it read in pages, now and later`() {
        var state = WatchState(backoff: backoff)
        _ = state.start()
        #expect(state.initialEventsStalled() == .list(continueToken: nil))
        _ = state.pageReceived(resourceVersion: "4", continueToken: nil)
        #expect(state.watchFailed(expired, after: .zero, random: 0.5) == .list(continueToken: nil))
    }

    @Test func `initial events that break off begin anew, and after three times are read in pages once`() {
        var state = WatchState(backoff: backoff)
        _ = state.start()
        #expect(state.watchFailed(unavailable, after: .seconds(2), random: 0.5) == .wait(.milliseconds(500)))
        #expect(state.waitEnded() == .stream)
        #expect(state.watchEnded(after: .seconds(2), random: 0.5) == .wait(.seconds(1)))
        #expect(state.waitEnded() == .stream)
        #expect(state.watchFailed(limited, after: .zero, random: 0.5) == .wait(.seconds(7)))
        #expect(state.waitEnded() == .list(continueToken: nil))
        #expect(state.pageReceived(resourceVersion: "4", continueToken: nil) == .watch(resourceVersion: "4"))
        #expect(state.watchFailed(expired, after: .zero, random: 0.5) == .stream)
    }

    @Test func `initial events that break off each time after an object came are asked for more slowly each time`() {
        var state = WatchState(backoff: backoff)
        _ = state.start()
        for milliseconds in [500, 1000] {
            state.eventReceived(resourceVersion: "3")
            #expect(state.watchEnded(after: .seconds(2), random: 0.5) == .wait(.milliseconds(milliseconds)))
            #expect(state.waitEnded() == .stream)
        }
    }

    @Test func `a list that is older than what was seen is asked for again, and believed the third time`() {
        var state = WatchState(streams: false, backoff: backoff)
        _ = state.start()
        #expect(state.staleListReceived(random: 0.5) == .wait(.milliseconds(500)))
        #expect(state.waitEnded() == .list(continueToken: nil))
        #expect(state.staleListReceived(random: 0.5) == .wait(.seconds(1)))
        #expect(state.staleListReceived(random: 0.5) == nil)
    }

    @Test func `a version that the server has not reached is tried again, then everything is read`() {
        var state = watching(streams: true)
        #expect(state.watchFailed(tooLarge, after: .zero, random: 0.5) == .wait(.seconds(1)))
        #expect(state.waitEnded() == .watch(resourceVersion: "5"))
        #expect(state.watchFailed(tooLarge, after: .zero, random: 0.5) == .wait(.seconds(1)))
        #expect(state.watchFailed(tooLarge, after: .zero, random: 0.5) == .stream)
    }

    @Test func `a page that fails is asked for again, with its token`() {
        var state = WatchState(backoff: Backoff(initial: .seconds(1), maximum: .seconds(8)))
        _ = state.pageReceived(resourceVersion: "4", continueToken: "t")
        #expect(state.listFailed(unavailable, random: 0.5) == .wait(.milliseconds(500)))
        #expect(state.waitEnded() == .list(continueToken: "t"))
        #expect(state.listFailed(unavailable, random: 0.5) == .wait(.seconds(1)))
    }

    @Test func `a token that expired on page three begins a new list`() {
        var state = WatchState(streams: false)
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
        #expect(state.watchFailed(unavailable, after: .zero, random: 0.5) == .wait(.milliseconds(500)))
        #expect(state.waitEnded() == .watch(resourceVersion: "5"))
    }

    @Test func `the server's wish for a longer wait is honoured`() {
        var state = watching()
        #expect(state.watchFailed(limited, after: .zero, random: 0.5) == .wait(.seconds(7)))
    }

    @Test func `a forgotten version reads everything at once the first time, and slowly when it comes again`() {
        var state = watching("5", streams: true)
        #expect(state.watchFailed(expired, after: .zero, random: 0.5) == .stream)
        state.initialEventsEnded(resourceVersion: "20")
        // One event makes no healthy watch.
        state.eventReceived(resourceVersion: "21")
        #expect(state.watchFailed(expired, after: .seconds(2), random: 0.5) == .wait(.seconds(1)))
        #expect(state.waitEnded() == .stream)
        state.initialEventsEnded(resourceVersion: "30")
        #expect(state.watchFailed(expired, after: .seconds(30), random: 0.5) == .stream)
    }
}
