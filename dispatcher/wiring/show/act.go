package show

import (
	"time"

	"tocsin/warning"
)

// Resumed says that an act goes on which the same command began.
func (l Language) Resumed(began time.Time) string {
	return l.say(warning.TextResumed, began.Local().Format(time.TimeOnly))
}

// NotKept says that the same command will not know the key of this act, and why.
func (l Language) NotKept(key string, err error) string {
	return l.say(warning.TextNotKept, err, key)
}

// NotKnown says that nobody knows whether an act happened, and how it happens once.
func (l Language) NotKnown(key string) string { return l.say(warning.TextNotKnown, key) }

// NoEngine says that no engine was spoken to, and why.
func (l Language) NoEngine(why string) string { return l.say(warning.TextNoEngine, why) }

// Interrupted says that somebody ended the command.
func (l Language) Interrupted() string { return l.say(warning.TextInterrupted) }

// Refused is the line over what was wrong with a request.
func (l Language) Refused() string { return l.say(warning.TextRefused) }

// Refusal is the message of a refusal that was made here.
func (l Language) Refusal(message string) string { return warning.SayRefusal(string(l), message) }
