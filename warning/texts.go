package warning

import "fmt"

// Text is the key of one text that a user reads.
type Text string

// The texts of reports, progress and answers.
const (
	TextTitle        Text = "title"          // event, tier, status, state
	TextInArea       Text = "in_area"        // people in the area, addressable
	TextEntered      Text = "entered"        // people
	TextDelivered    Text = "delivered"      // people
	TextHandedOver   Text = "handed_over"    // people
	TextNotReached   Text = "not_reached"    // people
	TextNotReachedBy Text = "not_reached_by" // people, reasons
	TextWaiting      Text = "waiting"        // people
	TextFinished     Text = "finished"       // people waiting, time
	TextNotReleased  Text = "not_released"
	TextWhy          Text = "why" // reason, people
	TextListJoin     Text = "list_join"
	TextFew          Text = "few"
	TextHidden       Text = "hidden"
	TextWhyHidden    Text = "why_hidden"

	TextFollows    Text = "follows" // event, type
	TextByChannel  Text = "by_channel"
	TextLeftOut    Text = "left_out"  // people, reasons
	TextRerouted   Text = "rerouted"  // people
	TextFellBack   Text = "fell_back" // people
	TextRecalled   Text = "recalled"  // messages that carriers were asked for, messages that they took back
	TextByDistrict Text = "by_district"
	TextByCarrier  Text = "by_carrier"
	TextByMinute   Text = "by_minute"
	TextHead       Text = "head" // columns of a table in the report, separated by |
	TextContract   Text = "contract"
	TextSpeed      Text = "speed"
	TextKept       Text = "kept"
	TextPlay       Text = "play"     // channel, platform, state, messages
	TextCoverage   Text = "coverage" // percent, ends
	TextClipped    Text = "clipped"  // name, corners
	TextPolicy     Text = "policy"   // digest, since, who agreed
	TextProposal   Text = "proposal" // digest, how many agreed

	TextReview        Text = "review" // who, when, why
	TextReviewOpen    Text = "review_open"
	TextReviewDue     Text = "review_due"     // when
	TextReviewOverdue Text = "review_overdue" // when
	TextReviewClosed  Text = "review_closed"  // who, finding

	TextProgress Text = "progress" // tier, event, handed over, planned, waiting
	TextRates    Text = "rates"    // people/s, messages/s, contract
	TextFirst    Text = "first"    // time
	TextLast     Text = "last"     // time
	TextFinish   Text = "finish"   // time
	TextPlanning Text = "planning" // tier, event, state

	TextPreviewShare Text = "preview_share" // percent, time
	TextTold         Text = "told"          // duty, steps
	TextToldStep     Text = "told_step"     // minutes and seconds after the release, channels
	TextToldNot      Text = "told_not"
	TextPreviewUnit  Text = "preview_unit"  // district, people
	TextPreviewRoute Text = "preview_route" // account, people, messages, contract, time
	TextPreviewWords Text = "preview_words" // language, channel, messages, coding
	TextPreviewHomes Text = "preview_homes" // people who live there
	TextPreviewTown  Text = "preview_town"  // town, people
	TextPreviewMore  Text = "preview_more"  // how many more towns
	TextPreviewWay   Text = "preview_way"   // channel, duty, people, messages
	TextPreviewAhead Text = "preview_ahead" // messages, time

	TextFaster           Text = "faster"            // how, time
	TextFasterWords      Text = "faster.words"      // channel, language, messages a person now, then
	TextFasterWithout    Text = "faster.without"    // channel
	TextFasterAhead      Text = "faster.ahead"      // account
	TextFasterPaused     Text = "faster.paused"     // account
	TextFasterConfigured Text = "faster.configured" // account, messages/s now, then
	TextFasterContract   Text = "faster.contract"   // account, messages/s now, then
	TextFasterArea       Text = "faster.area"       // channel
	TextDigest           Text = "digest"            // digest
	TextMissing          Text = "missing"           // approvals
	TextAsk              Text = "ask"
	TextNoEngine         Text = "no_engine" // what went wrong
	TextInterrupted      Text = "interrupted"
	TextShrunk           Text = "shrunk"  // people before
	TextHolds            Text = "holds"   // time, issuers, who submitted it
	TextClocks           Text = "clocks"  // time here, time there, end of validity
	TextWaits            Text = "waits"   // time
	TextOnDuty           Text = "on_duty" // user, duty, by hand or hours, when rung

	TextWordsWarning Text = "words_warning" // zh: event, tier; en: tier, event
	TextWordsNotice  Text = "words_notice"  // event
	TextWordsUntil   Text = "words_until"   // time

	TextNobody     Text = "nobody"     // masked number
	TextPerson     Text = "person"     // masked number, district
	TextNoLane     Text = "no_lane"    // warning, event, why
	TextNoOutcome  Text = "no_outcome" // warning, event
	TextSince      Text = "since"      // time
	TextInLane     Text = "in_lane"    // warning, event, channel, account, state, handed over, receipt, reason
	TextImported   Text = "imported"   // people, snapshot
	TextChanged    Text = "changed"    // changes, people, snapshot
	TextBadRows    Text = "bad_rows"   // rows left out
	TextBadRow     Text = "bad_row"    // row, field, detail, rule
	TextStats      Text = "stats"      // people, addressable, no address, opted out, responsible
	TextMoved      Text = "moved"      // positions, known, people
	TextSnapshot   Text = "snapshot"   // id, edition, time
	TextAccount    Text = "account"    // name, protocol, health, links up, links, contract, percent used, people waiting
	TextRoute      Text = "route"      // percent of its weight, why
	TextTested     Text = "tested"     // time, result, milliseconds to the answer, receipt
	TextLinkTest   Text = "link_test"  // account, time
	TextByHand     Text = "by_hand"    // account, account
	TextUnchanged  Text = "unchanged"
	TextResumed    Text = "resumed"   // time
	TextNotKept    Text = "not_kept"  // why, key
	TextNotKnown   Text = "not_known" // key
	TextRefused    Text = "refused"
	TextApplied    Text = "applied" // process, digests before and after
	TextLeaving    Text = "leaving" // account, people
	TextNotApplied Text = "not_applied"

	TextEditionIn      Text = "edition_in"    // id
	TextEditionSound   Text = "edition_sound" // id, which it would have
	TextEdition        Text = "edition"       // edition, districts, towns, source
	TextEditionBy      Text = "edition_by"    // id, time, user
	TextEditionShipped Text = "edition_shipped"
	TextRemark         Text = "remark" // field, text, rule
)

// TextOf is the key of the name of something that the engine counts or shows: a tier, status, state, reason or health,
// by its stable name.
func TextOf(kind, name string) Text { return Text(kind + "." + name) }

// phrase is one text in both languages; placeholders are those of package fmt, with the same verbs in the same order.
type phrase struct{ zh, en string }

var phrases = map[Text]phrase{
	TextFollows:      {"%s（%s）", "%s %s"},
	TextTitle:        {"%s %s预警（%s）：%s", "%s, %s (%s): %s"},
	TextInArea:       {"区域内 %s 人，可联系 %s 人", "In the area %s people, addressable %s"},
	TextEntered:      {"之后进入区域 %s 人", "Entered later %s"},
	TextDelivered:    {"已送达 %s 人", "Delivered %s"},
	TextHandedOver:   {"已交运营商、尚无回执 %s 人", "Handed over, no receipt yet %s"},
	TextNotReached:   {"未送达 %s 人", "Not reached %s"},
	TextNotReachedBy: {"未送达 %s 人（%s）", "Not reached %s (%s)"},
	TextWaiting:      {"等待发送 %s 人，尚未完成", "Still waiting %s, not finished"},
	TextFinished:     {"等待发送 %s 人，完成于 %s", "Still waiting %s, finished at %s"},
	TextNotReleased:  {"尚未发布，还没有人收到", "Not released: nobody was told yet"},
	TextWhy:          {"%s %s", "%s %s"},
	TextListJoin:     {"、", ", "},
	TextFew:          {"少于 20", "fewer than 20"},
	TextHidden:       {"（不显示）", "(not shown)"},
	TextWhyHidden:    {"（不显示）：该处不足 20 人，或由其可推算出另一处的人数；指挥员可见", "(not shown): fewer than 20 people there, or in another part that could be computed from it; commanders see it"},

	TextByChannel:  {"按渠道", "By channel"},
	TextByDistrict: {"按区县", "By district"},
	TextByCarrier:  {"按运营商", "By carrier"},
	TextByMinute:   {"按分钟", "By minute"},
	TextHead:       {"应发|已送达|无回执|未送达|等待", "planned|delivered|no receipt|not reached|waiting"},
	TextContract:   {"%s：%s 条，任意一秒最多 %s 条，合同每秒 %s 条，使用 %.1f%%", "%s: %s messages, at most %s in any second, contract %s/s, %.1f%% used"},
	TextSpeed:      {"每秒 %s 人、%s 条；发布后 %.0f 毫秒发出第一条，%.1f 秒发出最后一条", "%s people/s, %s messages/s; first message %.0f ms after release, last after %.1f s"},
	TextKept:       {"存储保证：%s", "Kept as: %s"},

	TextLeftOut:  {"不单独通知 %s 人（%s）", "Told nothing of their own %s (%s)"},
	TextFellBack: {"运营商不支持闪信，改由短信 %s 人", "No flash messages at their carrier, by SMS instead %s people"},
	TextRerouted: {"改走其他路由 %s 人", "Moved to another route %s people"},
	TextRecalled: {"取消后请求运营商撤回 %s 条，已确认撤回 %s 条", "After the cancel carriers were asked to take back %s messages and confirmed %s"},

	TextPlay:     {"%s（%s）：%s，%s 条消息", "%s (%s): %s, %s messages"},
	TextCoverage: {"，覆盖 %.0f%%，终端 %s", ", %.0f%% covered, %s ends"},

	TextProgress: {"%s %s %s/%s 人，等待 %s", "%s %s %s/%s people, waiting %s"},
	TextRates:    {"每秒 %s 人，每秒 %s 条（合同 %s）", "%s people/s, %s messages/s (contract %s)"},
	TextFirst:    {"第一条 %s", "first %s"},
	TextLast:     {"最近一条 %s", "last %s"},
	TextFinish:   {"预计完成 %s", "finishes %s"},
	TextPlanning: {"%s %s %s", "%s %s %s"},

	TextPreviewShare: {"占辖区面积 %.1f%%，预计 %s 发完", "%.1f%% of the jurisdiction, takes %s"},
	TextTold:         {"%s：%s", "%s: %s"},
	TextToldStep:     {"%s后无回执者 %s", "without receipt after %s: %s"},
	TextToldNot:      {"不通知", "not told"},
	TextPreviewUnit:  {"%s %s 人", "%s %s people"},
	TextPreviewRoute: {"%s：%s 人，%s 条，合同每秒 %s 条，%s", "%s: %s people, %s messages, contract %s/s, %s"},
	TextPreviewHomes: {"约有常住人口 %s（2020 年人口普查），其中 %.0f%% 可联系", "About %s live there (census 2020), %.0f%% of them can be told"},
	TextPreviewTown:  {"%s %s 人（按登记住址）", "%s %s people (by registered home)"},
	TextPreviewMore:  {"另有 %d 个乡镇街道（-o json 全部列出）", "%d more towns (-o json lists them all)"},
	TextPreviewWay:   {"%s（%s）：%s 人，%s 条", "%s (%s): %s people, %s messages"},
	TextPreviewAhead: {"前面有 %s 条，%s", "ahead of it %s messages, %s"},

	TextFaster:           {"更快：%s，%s 发完", "Faster: %s, takes %s"},
	TextFasterWords:      {"%s %s文字由每人 %d 条缩至 %d 条", "%s: cut the words in %s from %d messages a person to %d"},
	TextFasterWithout:    {"不发%s", "without %s"},
	TextFasterAhead:      {"%s 前面的预警让路（tocsin hold）", "%s: hold what is ahead (tocsin hold)"},
	TextFasterPaused:     {"%s 已暂停：tocsin channel resume %[1]s", "%s is paused: tocsin channel resume %[1]s"},
	TextFasterConfigured: {"%s 由手动限速每秒 %d 条恢复到 %d 条", "%s: from the %d messages/s set by hand to the %d configured"},
	TextFasterContract:   {"%s 合同由每秒 %d 条提高到 %d 条", "%s: instead of %d messages/s a contract of %d"},
	TextFasterArea:       {"另用%s：不排队，覆盖区内所有人", "also by %s: it does not queue, and reaches everybody there"},
	TextPreviewWords:     {"%s %s：%d 条（%s）", "%s %s: messages a person %d (%s)"},
	TextDigest:           {"摘要 %s", "Digest %s"},
	TextMissing:          {"还需 %d 人批准", "%d more must approve"},
	TextAsk:              {"批准以上内容？", "Approve this?"},
	TextInterrupted:      {"已中断", "interrupted"},
	TextShrunk:           {"注意：导入前名录有 %s 人。如文件不完整，请立即重新导入完整的文件", "mind that the directory had %s people before: if the file is not whole, import the whole one now"},
	TextNoEngine:         {"连不上引擎（%s）。请检查它是否在运行，--server 和 --ca 是否正确", "no connection to an engine (%s): is it running, and are --server and --ca right?"},
	TextHolds:            {"有效至 %s；%s发布，%s 提交", "Holds until %s; issued by %s, submitted by %s"},
	TextClocks: {"注意：--for 从本机时间 %s 算起，引擎记录的时间是 %s。如两台机器时钟不一致，有效期并非所想：有效至 %s",
		"mind the clocks: --for counts from %s by this machine, and the engine recorded it at %s. Where they do not agree it holds longer or shorter than was said: until %s"},
	TextWaits:  {"已等待 %s", "waits %s"},
	TextOnDuty: {"%s：%s（%s），%s", "%s: %s (%s), %s"},

	"duty.on": {"值班", "on duty"}, "duty.off": {"不值班", "off duty"}, "duty.by_hand": {"手动", "by hand"}, "duty.hours": {"按排班", "by hours"},
	"recipients.responsible": {"责任人", "responsible persons"}, "recipients.public": {"公众", "public"},
	"duty.first": {"首先呼叫", "rung first"}, "duty.backup": {"备岗", "backup"}, "duty.tells": {"仅通知到期", "told of ends"},

	TextWordsWarning: {"%s%s预警", "%s %s warning"},
	TextWordsNotice:  {"%s提示", "%s notice"},
	TextWordsUntil:   {"（有效至%s）", " (valid until %s)"},

	// of calls to people on duty: issuer, warning, minutes or time, id
	"call.approve": {"【待批准】%s%s已等待%d分钟，编号%s，请批准或驳回。", "To approve: %s, %s, waits %d min. %s: approve or reject it."},
	"call.ending":  {"【即将到期】%s%s于%s到期，编号%s，请延长或解除。", "Ends soon: %s, %s, at %s. %s: extend or lift it."},
	"call.ended":   {"【已到期】%s%s已于%s到期，编号%s。", "Ended: %s, %s, at %s. %s."},

	TextNobody:     {"%s 不在名录中", "%s is not in the directory"},
	TextPerson:     {"%s，%s", "%s, %s"},
	TextNoLane:     {"%s %s：未发送（%s）", "%s %s: not sent (%s)"},
	TextNoOutcome:  {"%s %s：个人结果已不再保存，无从得知", "%s %s: what became of single people is not kept any more"},
	TextSince:      {"%s 以前失效的预警已删除，不在此列", "warnings that ended before %s are deleted and not listed"},
	TextInLane:     {"%s %s %s %s：%s，交出 %s，回执 %s %s", "%s %s %s %s: %s, handed over %s, receipt %s %s"},
	TextImported:   {"已导入 %s 人，快照 %s", "Imported %s people, snapshot %s"},
	TextChanged:    {"已变更 %s 项，现有 %s 人，快照 %s", "Made %s changes; %s people, snapshot %s"},
	TextBadRow:     {"第 %s 行 %s：%s [%s]", "row %s, %s: %s [%s]"},
	TextStats:      {"名录共 %s 人：可联系 %s，无地址 %s，已退订 %s，责任人 %s", "%s people: addressable %s, no address %s, opted out %s, responsible %s"},
	TextMoved:      {"收到位置 %s 个，其中名录内 %s 个；进入预警区域 %s 人", "%s positions, %s of people in the directory; %s people entered an area"},
	TextSnapshot:   {"快照 %s，区划版本 %s，导入于 %s", "Snapshot %s, edition %s, imported %s"},
	TextAccount:    {"%s（%s）：%s，链路 %d/%d，合同每秒 %s 条，近 10 秒使用 %.1f%%，等待 %s 人", "%s (%s): %s, links %d of %d, contract %s/s, %.1f%% used in the last 10 s, %s people waiting"},
	TextRoute:      {"；路由份额 %.0f%%（%s）", "; trusted with %.0f%% of its share (%s)"},
	TextTested:     {"；链路测试 %s：%s，应答 %.0f 毫秒，回执 %s", "; link test at %s: %s, answered in %.0f ms, receipt %s"},
	TextLinkTest:   {"【测试】线路 %s 测试，%s，请勿理会。", "Test of link %s at %s. Nothing to do."},
	TextBadRows:    {"%s 行有误，未导入", "%s rows were faulty and left out"},
	TextByHand:     {"%s 的速率是手工设定的，仍然有效；恢复配置：tocsin channel rate %s configured", "the rate of %s was set by hand and stays in force; to give it up: tocsin channel rate %s configured"},
	TextResumed:    {"同一命令于 %s 发出后未得到答复，现继续该操作：已做的不会重做", "the same command was said at %s and had no answer; this goes on with it: what was done is not done again"},
	TextNotKept:    {"无法记住本次操作（%v）：如未得到答复，请加 --key %s 重做", "this act cannot be remembered (%v): if no answer comes, say the same again with --key %s"},
	TextNotKnown:   {"不知是否已执行。请在半小时内重复同一命令，或加 --key %s：只会执行一次。", "Whether it happened is not known. Say the same again within half an hour, or with --key %s: it happens once."},
	TextRefused:    {"已拒绝，未保留任何内容：", "refused, nothing was kept:"},
	TextUnchanged:  {"文件与已载入的相同", "the file says what was loaded"},
	TextApplied:    {"进程 %s 已全部生效：原配置 %.12s，现配置 %.12s；请对每个进程执行", "process %s: all of it holds now: before %.12s, after %.12s; say it to each process"},
	TextLeaving:    {"%s 将停用：%d 人待转或待应答，完成后链路关闭", "%s leaves: %d people go another way or wait for an answer, then its links end"},
	TextNotApplied: {"仅检查，未生效", "nothing was applied: this was only a look"},

	"takes.at_once": {"立即生效", "at once"}, "takes.new_links": {"先建新链路，再断旧链路", "new links first"},
	"takes.two_persons": {"待两人同意", "two persons"}, "takes.restart": {"须重启", "restart"},

	TextEditionIn:      {"已生效：%s", "In force: %s"},
	TextEditionSound:   {"检查通过，可以导入：%s", "Sound, and may be imported: %s"},
	TextEdition:        {"%s：区县 %s 个，乡镇街道 %s 个，来源：%s", "%s: %s districts, %s towns, from: %s"},
	TextEditionBy:      {"%s，%s 由 %s 导入", "%s, imported %s by %s"},
	TextEditionShipped: {"随软件提供", "shipped"},
	TextRemark:         {"请留意 %s：%s [%s]", "Mind %s: %s [%s]"},

	TextPolicy:   {"现行策略 %s，自 %s 起 %s", "policy in force %s since %s %s"},
	TextProposal: {"待两人同意的策略 %s（已有 %d 人同意），尚未生效，放宽如下：", "policy %s waits for two persons (%d agreed) and does NOT hold yet; it asks for less:"},
	TextClipped:  {"裁剪于辖区边界内：%s，%d 个顶点", "cut at the border: %s, %d corners"},

	TextReview:        {"%s 于 %s 单独发布（%s）", "released alone by %s at %s (%s)"},
	TextReviewOpen:    {"待复核", "waits for review"},
	TextReviewDue:     {"应于 %s 前复核", "review due %s"},
	TextReviewOverdue: {"复核已逾期，期限为 %s", "review OVERDUE since %s"},
	TextReviewClosed:  {"%s 已复核：%s", "reviewed by %s: %s"},

	"type.update": {"更新", "update"}, "type.cancel": {"更正", "correction"}, "type.all_clear": {"解除", "all-clear"},

	"tier.red": {"红色", "red"}, "tier.orange": {"橙色", "orange"}, "tier.yellow": {"黄色", "yellow"}, "tier.blue": {"蓝色", "blue"}, "tier.notice": {"提示", "notice"},

	"grade.red": {"[Ⅰ级/特别重大]", "(level I)"}, "grade.orange": {"[Ⅱ级/重大]", "(level II)"}, "grade.yellow": {"[Ⅲ级/较大]", "(level III)"}, "grade.blue": {"[Ⅳ级/一般]", "(level IV)"},

	"status.actual": {"实际", "actual"}, "status.exercise": {"演练（模拟）", "exercise"}, "status.public_drill": {"公众演练", "public drill"}, "status.test": {"测试", "test"},

	"play.waiting": {"等待重试", "waiting"}, "play.sending": {"发送中", "being sent"}, "play.handed_over": {"平台已接收", "handed over"},
	"play.refused": {"平台拒绝", "refused"}, "play.unknown": {"未确认", "unknown"}, "play.cancelled": {"已停播", "stopped"},

	"state.submitted": {"待批准", "submitted"}, "state.approved": {"已批准", "approved"}, "state.released": {"发送中", "released"}, "state.held": {"已暂停", "held"},
	"state.completed": {"已完成", "completed"}, "state.cancelled": {"已撤销", "cancelled"}, "state.expired": {"已过期", "expired"}, "state.rejected": {"已驳回", "rejected"}, "state.replaced": {"已被替代", "replaced"},

	"channel.sms": {"短信", "SMS"}, "channel.flash_sms": {"闪信", "flash SMS"}, "channel.broadcast": {"应急广播", "broadcast"}, "channel.cable_tv": {"有线电视", "cable TV"}, "channel.push": {"应用推送", "push"}, "channel.work_app": {"政务应用", "work app"}, "channel.feed": {"预警信息源", "feed"},

	"person.waiting": {"等待", "waiting"}, "person.sending": {"发送中", "sending"}, "person.handed_over": {"已交运营商", "handed over"}, "person.delivered": {"已送达", "delivered"},
	"person.undelivered": {"未送达", "undelivered"}, "person.refused": {"被拒绝", "refused"}, "person.expired": {"已过期", "expired"}, "person.cancelled": {"已撤销", "cancelled"},
	"person.superseded": {"被新版替代", "superseded"}, "person.moved": {"改走其他渠道", "moved"}, "person.withdrawn": {"已退订", "withdrawn"}, "person.unknown": {"结果不明", "unknown"},

	"reason.no_address": {"无地址", "no address"}, "reason.opted_out": {"已退订", "opted out"}, "reason.other_route": {"改走其他线路", "by another carrier"}, "reason.no_route": {"无可用线路", "no carrier serves the number"}, "reason.untold": {"渠道表未安排个人渠道", "no channel of their own in the table"},
	"reason.throttled": {"运营商限速", "throttled"}, "reason.queue_full": {"运营商队列已满", "carrier's queue full"}, "reason.system_error": {"运营商系统错误", "carrier failed"},
	"reason.link_down": {"链路中断", "link down"}, "reason.no_answer": {"运营商无应答", "no answer"}, "reason.bad_number": {"号码无效", "bad number"},
	"reason.bad_content": {"内容被拒", "words refused"}, "reason.not_allowed": {"合同不允许", "not allowed"}, "reason.submit_failed": {"提交失败", "refused by the carrier"},
	"reason.daily_quota": {"当日配额用尽", "daily quota used up"}, "reason.undeliverable": {"手机未能接收", "undeliverable"}, "reason.expired_at_carrier": {"在运营商处过期", "expired at the carrier"},
	"reason.rejected_at_carrier": {"运营商拒绝", "rejected at the carrier"}, "reason.superseded": {"已被更新替代", "superseded"}, "reason.deleted_at_carrier": {"运营商删除", "deleted at the carrier"}, "reason.unknown_at_carrier": {"运营商不明", "unknown at the carrier"},
	"reason.expired": {"发送前过期", "expired before hand-off"}, "reason.cancelled": {"发送前撤销", "cancelled before hand-off"}, "reason.too_many_retries": {"多次重试失败", "too many retries"},
	"reason.withdrawn":     {"发送前退订或注销", "unsubscribed or erased before hand-off"},
	"reason.already_there": {"已由其他途径收到", "already told another way"}, "reason.unknown": {"结果不明", "unknown whether it arrived"},

	"receipt.arrived": {"已送达", "delivered"}, "receipt.failed": {"未送达", "not delivered"},

	// The page of those on watch. What stands under finding is what is not well, under remedy what to do; {} is its subject.
	"level.ok": {"正常", "ALL WELL"}, "level.degraded": {"有降级", "DEGRADED"}, "level.wrong": {"有故障", "SOMETHING IS WRONG"},
	"house.head":   {"%s · 进程 %s · %s · 已运行 %s", "%s · process %s · %s · up %s"},
	"house.intake": {"接收", "INTAKE"}, "house.dispatch": {"发送", "DISPATCH"}, "house.backlog": {"待发", "BACKLOG"}, "house.approvals": {"待批", "APPROVALS"}, "house.reviews": {"待复核", "REVIEWS"},
	"house.redis": {"REDIS", "REDIS"}, "house.disk": {"磁盘", "DISK"}, "house.clock": {"时钟", "CLOCK"}, "house.certificates": {"证书", "CERTIFICATES"},
	"house.config": {"配置", "CONFIG"}, "house.processes": {"进程", "PROCESSES"},
	"house.accounts": {"账户|进程|状态|链路|窗口|合同/秒|近10秒使用|等待人数|最近错误", "account|process|health|links|window|contract/s|used in 10 s|waiting|last error"},
	"house.none":     {"无", "none"}, "house.by_hand": {"手工", "by hand"},
	"house.intake_ok": {"正常，落盘写入 %s，%s前", "ok; a durable write took %s, %s ago"},
	"house.tier":      {"%s %s 人（%s 条），预计 %s 发完", "%s %s people (%s messages), done at %s"}, "house.tier_stuck": {"%s %s 人（%s 条），有账户停发，无法预计", "%s %s people (%s messages), no end: an account sends nothing"},
	"house.awaiting": {"%s %s %s（%s），已等 %s，还需 %d 人批准", "%s %s %s (%s), waits for %s, %d more must approve"}, "house.more": {"另有 %d 条", "and %d more"},
	"house.store": {"%s%s，%s；AOF %s，内存 %s", "%s%s, %s; AOF %s, memory %s"}, "house.own": {"，自带", ", our own"}, "house.rewriting": {"，AOF 重写中", ", AOF is being rewritten"}, "house.of": {"%s / %s", "%s of %s"},
	"house.room": {"剩余 %s，低于 %s 时停止接收", "%s free; below %s nothing new is taken in"}, "house.room_others": {"数据目录剩余 %s", "%s free for the data directory"},
	"house.clocks": {"与 Redis 相差 %s", "%s apart from that of Redis"}, "house.no_step": {"，一小时内无跳变", ", no step within the hour"}, "house.step": {"，%s 跳变 %s", ", stepped at %s by %s"},
	"house.days":   {"%s 剩 %d 天", "%s ends in %d days"},
	"house.loaded": {"%s，载入于 %s，策略 %s", "%s, loaded %s, policy %s"},
	"house.owns":   {"%s（%s）", "%s (%s)"}, "house.owns_none": {"备用", "stands by"}, "house.link": {"链路 %d 于 %s 断开：%s", "link %d down since %s: %s"},
	"house.waiting":  {"，%s 人在等", ", %s people wait"},
	"finding.intake": {"不接收新预警", "nothing new is taken in"}, "remedy.intake": {"只要 Redis 有应答，撤销和暂停仍可用；先看下面的 REDIS 和磁盘", "cancel and hold still work as long as Redis answers; look at REDIS and DISK below"},
	"finding.store": {"Redis 不可用或不能保证落盘", "Redis is away, or does not keep what it accepts"}, "remedy.store": {"看其日志；自带的会自动重启", "see its log; our own is started again by itself"},
	"finding.memory": {"Redis 内存将满", "Redis is short of memory"}, "remedy.memory": {"提高 maxmemory", "raise maxmemory"},
	"finding.disk": {"磁盘空间不足", "the disk is short of room"}, "remedy.disk": {"清理磁盘；撤销和已接收的发送不受影响", "make room; cancels and what was accepted still go"},
	"finding.unowned": {"没有进程负责", "no process owns it"}, "remedy.unowned": {"启动一个配置了它的进程：tocsin serve", "start a process that has it in its configuration: tocsin serve"},
	"finding.twin": {"另一个进程用了本进程的 node 名，并占有该账户", "another process has the node name of this one, and owns it"}, "remedy.twin": {"停掉一个，或在配置中给每个进程各自的 node 和 data", "stop one of them, or give each a node and a data of its own in its configuration"},
	"finding.down": {"没有可用链路", "no link is up"}, "remedy.down": {"联系运营商，检查线路和口令", "call the carrier; check line and password"},
	// What a carrier's refusal of a bind asks for.
	"cause.ESME_RINVPASWD": {"运营商不认口令：把 password_file 或 password_env 与合同核对，改后执行 tocsin config reload（要重启时它会说）", "the carrier refuses the password: compare password_file or password_env with the contract, mend it and say tocsin config reload, which tells where a restart is needed"},
	"cause.ESME_RINVSYSID": {"运营商不认账号：把 system_id 与合同核对，改后执行 tocsin config reload（要重启时它会说）", "the carrier does not know the system_id: compare it with the contract, mend it and say tocsin config reload, which tells where a restart is needed"},
	"cause.ESME_RBINDFAIL": {"运营商不再接受更多链路：把 links 与合同核对；旧链路可能尚未释放", "the carrier takes no further link: compare links with the contract; an old link may not be released yet"},
	"cause.ESME_RALYBND":   {"运营商认为该链路已登录：等它释放旧链路，或请其断开", "the carrier takes the link for bound: wait until it releases the old one, or ask it to"},
	"finding.paused":       {"已手工暂停", "paused by hand"}, "remedy.paused": {"tocsin channel resume {}", "tocsin channel resume {}"},
	"finding.slow": {"有待发却不到合同一半", "with work due it sends less than half of its contract"}, "remedy.slow": {"看链路、窗口和运营商的应答时间", "look at links, window and the carrier's answer times"},
	"finding.links": {"部分链路中断", "some links are down"}, "remedy.links": {"联系运营商；其余链路继续发送", "call the carrier; the other links go on"},
	"finding.slowed": {"运营商流控，降速", "the carrier's flow control slows it"}, "remedy.slowed": {"核对合同速率：tocsin channel rate {} N", "compare the contract: tocsin channel rate {} N"},
	"finding.route": {"路由份额下降", "plans give it less than its share"}, "remedy.route": {"tocsin channel probe {}", "tocsin channel probe {}"},
	"finding.silent": {"进程无心跳", "the process is silent"}, "remedy.silent": {"它的账户由别的进程接管；查看该机器", "others take its accounts over; look at its machine"},
	"finding.clocks": {"时钟相差过大", "clocks are apart"}, "remedy.clocks": {"检查 NTP", "look at NTP"},
	"finding.step": {"时钟跳变", "the clock stepped"}, "remedy.step": {"检查 NTP；有效期以 UTC 计", "look at NTP; validity counts in UTC"},
	"finding.policies": {"策略不一致", "it goes by another policy"}, "remedy.policies": {"对每个进程执行 tocsin config reload", "say tocsin config reload to each process"},
	"finding.certificate": {"证书将到期", "the certificate ends soon"}, "remedy.certificate": {"更换证书，再执行 tocsin config reload", "replace it, then tocsin config reload"},
	"finding.approval": {"久等批准", "it waits for an approval"}, "remedy.approval": {"tocsin approve {}，或 tocsin reject {}", "tocsin approve {}, or tocsin reject {}"},
	"finding.review": {"复核已逾期", "its review is overdue since"}, "remedy.review": {"tocsin review close {}", "tocsin review close {}"},
	"finding.config_fault": {"配置文件有误", "the file is faulty; what was loaded holds"}, "remedy.config_fault": {"tocsin config check --running", "tocsin config check --running"},
	"finding.config_changed": {"文件已改，尚未载入", "the file was changed and is not loaded"}, "remedy.config_changed": {"tocsin config reload", "tocsin config reload"},

	"health.ok": {"正常", "ok"}, "health.idle": {"空闲", "idle"}, "health.slow": {"偏慢", "slow"}, "health.down": {"中断", "down"},
	"health.paused": {"已暂停", "paused"}, "health.waiting": {"等待接管", "waiting"}, "health.unowned": {"无进程", "unowned"}, "health.elsewhere": {"在其他进程", "elsewhere"},
}

// Say is the text in the language, zh-CN or en; any other reads as en. A text without a phrase, such as the name of
// something that a later edition counts, is its key's last part, so that it is never hidden.
func Say(language string, t Text, args ...any) string {
	p, ok := phrases[t]
	if !ok {
		name := string(t)
		for i := range name {
			if name[i] == '.' {
				return name[i+1:]
			}
		}
		return name
	}
	form := p.en
	if language == Languages[0] {
		form = p.zh
	}
	if len(args) == 0 {
		return form
	}
	return fmt.Sprintf(form, args...)
}
