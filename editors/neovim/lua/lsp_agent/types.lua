---@meta
-- Annotations only, nothing here is ever run: what the fold makes of what travels on the wire. That is in protocol.lua,
-- which is generated.

---@alias lsp_agent.Json table<string, any>

---One `agent/event` as it comes from the server.
---@class (exact) lsp_agent.Event
---@field sessionId string
---@field runId string? Absent or null for a turn without a run id
---@field seq integer Number of the last durable event
---@field chunk integer? Only on chunks
---@field parent lsp_agent.Json? Only on events of a sub-agent
---@field update lsp_agent.Json `sessionUpdate` and its fields

---@class (exact) lsp_agent.Tool
---@field id string
---@field name string
---@field title string
---@field kind string read, edit, search, execute, other …
---@field status string pending, in_progress, completed, failed, rejected, cancelled
---@field input any? `rawInput`
---@field output string Text of the result, or of its chunks so far
---@field locations lsp_agent.Json[]?
---@field terminal string? The command of this call that runs

---One message of the view model.
---@class (exact) lsp_agent.Message
---@field id string
---@field role string user or assistant
---@field text string
---@field thought string
---@field tools lsp_agent.Tool[]
---@field attachments lsp_agent.Json[]
---@field finish lsp_agent.Json? `{reason, message?, details?}`; absent while it is written
---@field model string?

---@alias lsp_agent.QueueItem lsp_agent.wire.QueueItem

---@class (exact) lsp_agent.Queue
---@field revision integer
---@field count integer
---@field items lsp_agent.QueueItem[]

---@alias lsp_agent.Option lsp_agent.wire.PermissionOption
---@alias lsp_agent.Permission lsp_agent.wire.PermissionRecord
---@alias lsp_agent.Question lsp_agent.wire.QuestionRecord

---@class (exact) lsp_agent.Notice
---@field level string info, warning, error
---@field code string
---@field message string

---What a view needs of one session: plain JSON, the same in every language.
---@class (exact) lsp_agent.ViewModel
---@field sessionId string
---@field seq integer
---@field title string
---@field state string idle, running, requires_action
---@field messages lsp_agent.Message[]
---@field queue lsp_agent.Queue
---@field pending lsp_agent.Permission[]
---@field questions lsp_agent.Question[]? Absent when there are none
---@field usage lsp_agent.Json? `{usedTokens, contextWindow, costUsd, estimated}`
---@field plan lsp_agent.Json[]
---@field options lsp_agent.Json[]
---@field changes lsp_agent.Json[] Files with their hunks, in the order they were changed
---@field notices lsp_agent.Notice[]
---@field completes lsp_agent.Json[] `{runId, stopReason, cancelled, error?}` of every run that ended

---What one event changed, for an incremental view.
---@class (exact) lsp_agent.Effect
---What `op` is: message, text, thought, tool, permission, question, queue, state, usage, title, plan, options, changes,
---notice, complete, compaction, rewound or resync.
---@field op string
---@field id string? The message; for `permission` and `question` the request
---@field tool string? The tool call
---@field append string? Text that was added; absent = read the whole again
---@field value any? What came, for effects that are events of the moment

-- How the fold keeps a session between two events.

---@class (exact) lsp_agent.LiveTool: lsp_agent.Tool
---@field pieces string[] Output chunks that are not joined into `output` yet
---@field unread integer? Bytes of `output` and `pieces`, while a command runs

---@class (exact) lsp_agent.LiveMessage
---@field id string
---@field role string
---@field pieces table<string, string[]> By field: `text` and `thought`
---@field tools lsp_agent.LiveTool[]
---@field attachments lsp_agent.Json[]
---@field finish lsp_agent.Json?
---@field model string?

---@class (exact) lsp_agent.Session
---@field id string
---@field seq integer
---@field title string
---@field state string
---@field order lsp_agent.LiveMessage[]
---@field messages table<string, lsp_agent.LiveMessage>
---@field tools table<string, { message: lsp_agent.LiveMessage, tool: lsp_agent.LiveTool }>
---@field terminals table<string, { message: lsp_agent.LiveMessage, tool: lsp_agent.LiveTool }> Commands that run
---@field stored integer How many messages of `order` came from a snapshot
---@field queue lsp_agent.Queue
---@field pending lsp_agent.Permission[]
---@field questions lsp_agent.Question[]
---@field usage lsp_agent.Json?
---@field plan lsp_agent.Json[]
---@field options lsp_agent.Json[]
---@field changes lsp_agent.Json[]
---@field notices lsp_agent.Notice[]
---@field completes lsp_agent.Json[]
---@field active_run string?

---@alias lsp_agent.Handler
---| fun(session: lsp_agent.Session, update: lsp_agent.Json, event: lsp_agent.Event): lsp_agent.Effect[]

---@class (exact) lsp_agent.Config
---@field cmd string[] Server command; default { 'lsp-agent', 'serve' }
---@field cmd_env table<string, string>? Extra environment of the server
---@field root_markers string[] What marks a workspace root
---@field when_busy string What `:Agent ask` does in a busy session: queue, fold, reject or interrupt. Default queue
---@field attach_buffer boolean Send the current buffer along with every prompt. Default true
---@field restore boolean Attach to the workspace's last session on start. Default true
---@field permission string Where a question is asked: `chat` (keys) or `select` (vim.ui.select). Default chat
---@field question string Where anything else is asked: `chat` (keys and a form) or `select` (vim.ui). Default chat
---@field sessions string Where `:Agent sessions` shows them: `list` (keys) or `select` (vim.ui.select). Default list
---@field push_selection boolean Tell the server cursor and selection. Default true
---@field push_diagnostics boolean Tell the server what other language servers report. Default true
---@field selection_debounce_ms integer Milliseconds without movement before a selection is sent. Default 120
---@field signs boolean Show pending hunks in the buffers. Default true
---@field follow boolean Show the file the agent is at work in. Default false
---@field restarts integer Restarts of a crashed server before the plugin gives up. Default 3
---@field window lsp_agent.WindowConfig
---@field keys lsp_agent.KeysConfig
---@field change_keys table<string, string> Keys of a file while changes wait in it, by sub-command; '' is none
---@field log_level integer One of vim.log.levels. Default WARN

---@class (exact) lsp_agent.WindowConfig
---@field width integer Columns of the chat window. Default 80
---@field input_height integer Lines of the input window. Default 6

---@class (exact) lsp_agent.KeysConfig
---@field allow_once string
---@field allow_session string
---@field allow_always string
---@field reject_once string
---@field reject_always string
---@field reject_message string Reject and tell the model why
---@field permission_menu string All options in vim.ui.select
---@field answer string Answer a question in a form
---@field decline string Decline a question
---@field input string Go to the input window
---@field steer string In the input: send into the running turn
---@field stop string
---@field queue string
---@field close string
