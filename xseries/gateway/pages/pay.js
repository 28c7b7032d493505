// The Pay page: carries messages between the sell screen around it and the gateway, and shows what the gateway says.
// It decides nothing about money. What to show and what to tell the sell screen comes from the server.
(function () {
	"use strict";

	var askEvery = 1500; // ms between two requests for DATA
	var askTimes = 6;
	var claimTime = 5000; // how long to try to claim an ACCEPT before it is posted all the same
	var quietTime = 40000; // a stream that is silent for longer is dead
	var firstEvent = 6000; // without an event until then, something between here and the gateway holds streams back
	var pollEvery = 1500;
	var answerTime = 20000; // a request without an answer until then is lost
	var claimAnswer = 3000; // the same for a claim
	var closeTime = 10000; // how long the sell screen may take to close the page: it writes the payment down before
	var readTime = 700; // a second click that comes sooner was not meant for the question that has taken the button's place

	var pay = document.getElementById("pay");
	var origin = pay.dataset.origin;
	var base = pay.dataset.base;
	// The iPad app opens the page as a window, browsers as a frame.
	var sellScreen = window.opener || window.parent;

	var sale = null; // the DATA message, as it came
	var followed = null; // the token of the payment that is followed
	var shown = ""; // the screen that is shown, as JSON
	var closable = null;
	var told = null; // the ACCEPT or DECLINE that was posted
	var ended = false; // nothing more comes of the payment by itself
	var timers = { ask: 0, retry: 0, tell: 0 };

	function post(text) {
		sellScreen.postMessage(text, origin);
	}

	function setClosable(value) {
		if (value === closable) return;
		closable = value;
		post(value ? pay.dataset.show : pay.dataset.hide);
	}

	function wait(ms) {
		return new Promise(function (resolve) { setTimeout(resolve, ms); });
	}

	// What is shown.

	function element(name, text, className) {
		var e = document.createElement(name);
		e.textContent = text;
		if (className) e.className = className;
		return e;
	}

	function button(label, first, act) {
		var b = element("button", label, first ? "first" : "");
		b.type = "button";
		b.addEventListener("click", function () { act(b); });
		return b;
	}

	function setActions(elements) {
		var box = document.getElementById("actions");
		var hadFocus = box.contains(document.activeElement);
		box.replaceChildren.apply(box, elements);
		if (hadFocus) (elements[0] || document.getElementById("title")).focus();
	}

	function setTrouble(text) {
		var p = document.getElementById("trouble");
		if (p.textContent !== text) p.textContent = text;
		p.hidden = !text;
	}

	function paint(screen) {
		pay.className = "pay " + screen.kind;
		document.getElementById("title").textContent = screen.title;
		var text = document.getElementById("text");
		text.replaceChildren.apply(text, (screen.text || []).map(function (line) { return element("p", line); }));
		var details = document.getElementById("details");
		details.hidden = !screen.details;
		var list = details.querySelector("ul");
		list.replaceChildren.apply(list, (screen.details || []).map(function (line) { return element("li", line); }));
		setActions(buttons(screen));
		setClosable(screen.close);
	}

	function buttons(screen) {
		var all = [];
		if (screen.link) {
			var a = element("a", screen.link.label, "button first");
			a.href = screen.link.url;
			a.target = "_blank";
			a.rel = "noopener";
			all.push(a);
		}
		if (screen.tell && screen.after) {
			all.push(button("Back to the sale", true, function () { tell(screen); }));
		}
		(screen.actions || []).forEach(function (action, i) {
			// Where a person has to find out, no answer stands out.
			all.push(button(action.label, i === 0 && !screen.link && screen.kind !== "doubt", function () {
				if (action.sure) askSure(screen, action);
				else act(action);
			}));
		});
		return all;
	}

	function askSure(screen, action) {
		var question = element("p", action.sure, "sure");
		question.id = "sure";
		var yes = button("Yes", false, function () { act(action); });
		var no = button("No, go back", false, function () { setActions(buttons(screen)); });
		yes.disabled = true;
		setTimeout(function () { yes.disabled = false; }, readTime);
		yes.setAttribute("aria-describedby", "sure");
		no.setAttribute("aria-describedby", "sure");
		setActions([question, yes, no]);
		no.focus();
	}

	// show shows a screen, and does what comes with it.
	function show(screen) {
		var text = JSON.stringify(screen);
		// What comes after the end was on its way before it.
		if (told || (ended && !screen.end)) return;
		// Also what has not changed is asked for again: a store takes its time to connect.
		clearTimeout(timers.retry);
		if (screen.retry) timers.retry = setTimeout(function () { start({}); }, screen.retry);
		if (text === shown) return;
		shown = text;
		ended = screen.end === true;
		clearTimeout(timers.tell);
		paint(screen);
		if (screen.tell && screen.claim) claim(screen);
		else if (screen.tell) timers.tell = setTimeout(function () { tell(screen); }, screen.after || 0);
	}

	function fail(title, lines, retry) {
		shown = "";
		paint({ kind: "bad", title: title, text: lines, close: true });
		if (retry) setActions([button("Try again", true, retry)]);
	}

	// What the sell screen is told.

	// claim gets the right to say ACCEPT: this page may not be the only one that follows the payment.
	function claim(screen) {
		var until = Date.now() + claimTime;
		(function again() {
			send("/pay/told", { token: followed }, claimAnswer).then(function (answer) {
				if (told) return;
				if (answer.screen.tell) tell(answer.screen);
				else show(answer.screen);
			}, function (error) {
				if (told) return;
				// The approval is known. That the gateway can't be reached must not keep it from the sale.
				if (error.refused || Date.now() > until) tell(screen);
				else wait(500).then(again);
			});
		})();
	}

	function tell(screen) {
		if (told) return;
		told = screen.tell;
		clearTimeout(timers.tell);
		setActions([]);
		post(told);
		// The sell screen closes this page. If it doesn't, the message was lost or it has not understood.
		setTimeout(function () {
			setTrouble("The till has not closed this window. Look at the sale: if it shows how this ended, close the window; if it doesn't, tell the till again.");
			setActions([button("Tell the till again", true, function () { post(told); })]);
			setClosable(true);
		}, closeTime);
	}

	// What goes to the gateway.

	// within fetches and reads, and gives up after ms: a network that is gone doesn't say so.
	function within(ms, path, options) {
		var abort = typeof AbortController === "function" ? new AbortController() : null;
		if (abort) options.signal = abort.signal;
		options.credentials = "omit";
		return new Promise(function (resolve, reject) {
			var timer = setTimeout(function () {
				reject(new Error("the gateway doesn't answer"));
				if (abort) abort.abort();
			}, ms);
			fetch(base + path, options).then(read).then(resolve, reject).then(function () { clearTimeout(timer); });
		});
	}

	// send posts to the gateway. It rejects with an error that has refused set if the gateway said no.
	function send(path, body, ms) {
		return within(ms || answerTime, path, {
			method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body)
		});
	}

	function read(response) {
		return response.json().then(function (content) {
			if (response.ok && content && content.screen) return content;
			var ours = !!content && typeof content.error === "string" && typeof content.advice === "string";
			var error = new Error(ours ? content.error : "The payment service's answer can't be read.");
			error.advice = ours ? content.advice : "";
			// What stands between may refuse, too, and then it says nothing about the payment.
			error.refused = ours && response.status >= 400 && response.status < 500;
			throw error;
		});
	}

	function take(answer) {
		setTrouble("");
		if (answer.follow) {
			followed = answer.follow;
			show(answer.screen);
			if (!following) follow();
			return;
		}
		show(answer.screen);
	}

	var starting = 0;

	// start asks the gateway to begin this page's payment, or to go on with the one that is there. It may be asked again: a
	// page has one payment.
	function start(choice) {
		var mine = ++starting;
		var failures = 0;
		ended = false;
		(function again() {
			if (mine !== starting) return;
			send("/pay/start", Object.assign({ token: pay.dataset.token, data: sale }, choice)).then(function (answer) {
				if (mine === starting) take(answer);
			}, function (error) {
				if (mine !== starting) return;
				if (error.refused) {
					fail(error.message, [error.advice]);
					return;
				}
				failures++;
				setTrouble("The payment service can't be reached. It is tried again." + (failures < 4 ? "" :
					" If the terminal shows this payment, wait for it; if it doesn't, you may close this window."));
				if (failures >= 4) setClosable(true);
				wait(Math.min(500 * failures, 3000)).then(again);
			});
		})();
	}

	function act(action) {
		setActions([]);
		if (action.do === "start") {
			shown = "";
			setClosable(false);
			start({ use: action.use, settled: action.settled, mark: action.mark });
			return;
		}
		send("/pay/" + action.do, { token: followed, outcome: action.outcome }).then(function (answer) {
			shown = ""; // The buttons come back, also if nothing has changed.
			take(answer);
		}, function (error) {
			function explain() {
				if (!told && !ended) setTrouble(error.message + " " + (error.advice || "Try again."));
			}
			// The buttons come back with the next screen.
			shown = "";
			explain();
			once().then(explain, explain);
		});
	}

	// Following a payment.

	var following = false;

	function follow() {
		following = true;
		var streams = "body" in Response.prototype && typeof TextDecoder === "function" && typeof AbortController === "function";
		var failures = 0;
		(function again() {
			if (told || ended) {
				following = false;
				return;
			}
			(streams ? stream() : once()).then(function () {
				failures = 0;
				setTrouble("");
				if (streams) return 100;
				return pollEvery;
			}, function (error) {
				if (error.refused) {
					following = false;
					fail(error.message, [error.advice]);
					return 0;
				}
				if (error.held) {
					streams = false;
					return 1;
				}
				failures++;
				if (failures > 1) setTrouble("The connection is lost. The payment goes on at the terminal; this window takes it up again by itself.");
				return Math.min(500 * failures, 3000);
			}).then(function (ms) { if (ms) wait(ms).then(again); });
		})();
	}

	function once() {
		return within(answerTime, "/pay/progress", { headers: { "Payment-Token": followed } }).then(take);
	}

	// stream shows what a stream of events says, and resolves when it ends. It rejects with held set if there was no event.
	function stream() {
		var abort = new AbortController();
		var events = 0;
		var timer = 0;
		function expect(ms) {
			clearTimeout(timer);
			timer = setTimeout(function () { abort.abort(); }, ms);
		}
		expect(firstEvent);
		return fetch(base + "/pay/progress", {
			credentials: "omit", signal: abort.signal, headers: { "Payment-Token": followed, "Accept": "text/event-stream" }
		}).then(function (response) {
			if (!response.ok) return read(response);
			var reader = response.body.getReader();
			var decoder = new TextDecoder();
			var text = "";
			return (function next() {
				return reader.read().then(function (part) {
					if (part.done) return;
					expect(quietTime);
					text += decoder.decode(part.value, { stream: true });
					var lines = text.split("\n");
					text = lines.pop();
					lines.forEach(function (line) {
						if (line.indexOf("data: ") !== 0) return;
						events++;
						take(JSON.parse(line.slice(6)));
					});
					return next();
				});
			})();
		}).catch(function (error) {
			if (error.name === "AbortError" && events === 0) error.held = true;
			throw error;
		}).finally(function () { clearTimeout(timer); });
	}

	// The beginning.

	window.addEventListener("message", function (event) {
		if (event.origin !== origin || sale !== null) return;
		var text = typeof event.data === "string" ? event.data : JSON.stringify(event.data);
		var message;
		try { message = JSON.parse(text); } catch (e) { return; }
		if (!message || message.step !== "DATA") return;
		clearTimeout(timers.ask);
		if (message.success !== true) {
			fail("The till can't say what is to be paid", ["Nothing was charged. Close this window, and try again."], ask);
			return;
		}
		sale = text;
		setTrouble("");
		setClosable(false);
		start({});
	});

	function ask() {
		var times = 0;
		setTrouble("");
		(function again() {
			if (sale !== null) return;
			if (times++ === askTimes) {
				fail("The till doesn't answer", ["Nothing was charged. Close this window, and try again."], ask);
				return;
			}
			post(pay.dataset.ask);
			timers.ask = setTimeout(again, askEvery);
		})();
	}

	if (sellScreen === window) {
		document.getElementById("title").textContent = "This page belongs in the Pay screen";
		document.getElementById("text").replaceChildren(element("p", "Press the payment button in Lightspeed Retail. Nothing was charged."));
		pay.className = "pay bad";
		return;
	}
	setClosable(false);
	ask();
})();
