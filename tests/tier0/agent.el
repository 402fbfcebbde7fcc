;;; agent.el --- lsp-agent in Emacs with eglot and nothing else  -*- lexical-binding: t -*-

;; Run by test_emacs.py in batch mode. Batch mode has no idle timers and no minibuffer: `agent-wait' reports changes the
;; way eglot's idle timer does, and `completing-read' is answered from `agent-answers'.

(require 'ert)
(require 'eglot)
(require 'flymake)
(require 'cl-lib)

(setq eglot-connect-timeout 60
      eglot-autoshutdown t
      make-backup-files nil
      create-lockfiles nil
      native-comp-async-report-warnings-errors nil)

(defvar agent-answers nil "Alist of (part of the prompt . the choice that begins with).")
(defvar agent-questions nil "Prompts that were shown, newest first.")
(defvar agent-messages nil "What the server said, newest first.")
(defvar agent-unknown nil "Methods eglot did not know.")

(setq eglot-server-programs nil)
(load (getenv "AGENT_PAGE")) ; docs/editors/emacs.md

(advice-add 'completing-read :override
            (lambda (prompt collection &rest _)
              (push prompt agent-questions)
              (let* ((answer (cdr (cl-find-if (lambda (each) (string-match-p (regexp-quote (car each)) prompt))
                                              agent-answers)))
                     (titles (mapcar (lambda (each) (if (consp each) (car each) each)) collection)))
                (or (and answer (cl-find-if (lambda (title) (string-prefix-p answer title)) titles))
                    (signal 'quit nil)))))
(advice-add 'eglot--message :before
            (lambda (format &rest args) (push (apply #'format format args) agent-messages)))
(cl-defmethod eglot-handle-notification :before (_server method &rest _)
  (unless (memq method '(window/showMessage window/logMessage textDocument/publishDiagnostics))
    (push method agent-unknown)))

(defun agent-read-on ()
  "Handle messages that Emacs has read and not looked at.
The jsonrpc of Emacs 28 leaves its process filter (by `throw') at the response to a synchronous request.  What arrived in
the same read behind it stays where it is until the server says something more, which a server that is done does not."
  (let ((server (eglot-current-server)))
    (when (and server (jsonrpc-running-p server))
      (condition-case nil (jsonrpc--process-filter (jsonrpc--process server) "") (quit nil)))))

(defun agent-wait (what condition)
  "Wait until CONDITION holds, telling the server of changes meanwhile."
  (let ((deadline (+ (float-time) 20)))
    (while (not (funcall condition))
      (when (> (float-time) deadline)
        (error "%s did not happen; the server said %S, asked %S" what agent-messages agent-questions))
      ;; C-g at a question: eglot then never answers the request
      (condition-case nil (accept-process-output nil 0.02) (quit nil))
      (agent-read-on)
      (eglot--signal-textDocument/didChange))))

(defun agent-said (part)
  "Wait for a message of the server."
  (agent-wait part (lambda () (cl-some (lambda (each) (string-match-p (regexp-quote part) each)) agent-messages))))

(defun agent-act (title &optional beg end)
  "Choose the code action TITLE, as `eglot-code-actions' does interactively."
  (let ((last-nonmenu-event ?\r)
        (agent-answers (cons (cons "Pick an action" title) agent-answers)))
    (eglot-code-actions (or beg (point-min)) (or end (point-max)) nil t)))

(defmacro agent-in (name text &rest body)
  "Visit a file NAME with TEXT in the project, connect, run BODY."
  (declare (indent 2))
  `(let ((file (expand-file-name ,name (getenv "AGENT_PROJECT"))))
     (setq agent-answers nil agent-questions nil agent-messages nil agent-unknown nil)
     (with-temp-file file (insert ,text))
     (with-current-buffer (find-file-noselect file)
       (unwind-protect
           (progn
             (unless (eglot-current-server) (apply #'eglot (eglot--guess-contact)))
             (agent-wait "connecting" #'eglot-current-server)
             ,@body)
         (set-buffer-modified-p nil)
         (kill-buffer)))))

(defun agent-on-disk ()
  "The visited file's text on disk."
  (let ((name buffer-file-name))
    (with-temp-buffer (insert-file-contents name) (buffer-string))))

(ert-deftest a-diagnostic-is-fixed-by-a-code-action-with-an-approval-and-undone ()
  (agent-in "fix.txt" "def old_name():\n    return 1\n"
    (flymake-mode 1)
    ;; another server's diagnostic, as a multiplexer in front of eglot delivers it
    (eglot-handle-notification
     (eglot-current-server) 'textDocument/publishDiagnostics
     :uri (eglot--path-to-uri buffer-file-name)
     :diagnostics (vector '(:range (:start (:line 0 :character 4) :end (:line 0 :character 12))
                                   :severity 2 :source "names" :message "rename old_name")))
    (flymake-start)
    (agent-wait "the diagnostic" #'flymake-diagnostics)
    (setq agent-answers '(("Edit" . "Allow once")))
    (agent-act "Agent: fix this problem" 5 10)
    (agent-said "Renamed it.")
    (should (cl-some (lambda (each) (string-match-p "Edit fix.txt" each)) agent-questions))
    (should (equal (buffer-string) "def new_name():\n    return 1\n"))
    (should (buffer-modified-p))
    (should (equal (agent-on-disk) "def old_name():\n    return 1\n"))
    (undo-boundary)
    (undo)
    (should (equal (buffer-string) "def old_name():\n    return 1\n"))
    (should (equal agent-unknown nil))))

(ert-deftest the-edit-of-the-agent-is-one-step-of-undo-and-what-was-typed-before-stays ()
  (agent-in "undo.txt" "def old_name():\n    return 1\n"
    (buffer-enable-undo)
    (goto-char (point-max))
    (insert "typed = 1\n")
    (undo-boundary)
    (eglot--signal-textDocument/didChange) ; eglot's idle timer
    (setq agent-answers '(("Edit" . "Allow once")))
    (agent-ask "rename old_name")
    (agent-said "Renamed it.")
    (should (equal (buffer-string) "def new_name():\n    return 1\ntyped = 1\n"))
    (undo-boundary)
    (undo)
    (should (equal (buffer-string) "def old_name():\n    return 1\ntyped = 1\n"))
    (eglot--signal-textDocument/didChange)
    (eglot-execute-command (eglot-current-server) "lspAgent.undo" [])
    (agent-wait "what became of the change"
                (lambda () (cl-some (lambda (each) (string-match-p "undo\\|left" each)) agent-messages)))
    (should (equal (buffer-string) "def old_name():\n    return 1\ntyped = 1\n"))))

(ert-deftest a-run-is-stopped-by-a-code-action ()
  (agent-in "stop.txt" "nothing\n"
    (eglot-execute-command (eglot-current-server) "lspAgent.ask" ["hold on"])
    (agent-wait "the run" (lambda () (eq t (plist-get (eglot-execute-command
                                                       (eglot-current-server) "lspAgent.status" [])
                                                      :busy))))
    (agent-act "Agent: stop")
    (agent-said "stopped")))

(ert-deftest a-dismissed-question-is-answered-by-a-code-action ()
  (agent-in "later.txt" "def old_name():\n    return 1\n# agent: rename the function\n"
    (agent-act "Agent: do this: rename the function" (1- (point-max)) (1- (point-max)))
    (agent-wait "the question" (lambda () (cl-some (lambda (each) (string-match-p "Edit later" each)) agent-questions)))
    (should (string-match-p "old_name" (buffer-string)))
    (agent-act "Agent: Allow once")
    (agent-said "Renamed it.")
    (should (string-match-p "new_name" (buffer-string)))))

(ert-deftest the-transcript-is-a-file-whose-place-is-told ()
  (agent-in "hello.txt" "hello\n"
    (agent-ask "good morning")
    (agent-said "You said: good morning")
    (let* ((shown (eglot-execute-command (eglot-current-server) "lspAgent.transcript" []))
           (path (eglot--uri-to-path (plist-get shown :uri))))
      (agent-said path)
      (should-not (string-prefix-p (getenv "AGENT_PROJECT") path))
      (should (string-match-p "good morning" (with-temp-buffer (insert-file-contents path) (buffer-string)))))))

;;; agent.el ends here
