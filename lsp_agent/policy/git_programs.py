"""Sub-commands of git that may run unasked, with the flags they may have, as data. Pure.

No flag that runs a program, fetches or writes: `--ext-diff`, `--output`, `-O`, `--show-signature`, `--upload-pack`.
"""

from collections.abc import Mapping

from lsp_agent.policy.programs import Program, exact_forms, letters, word_set

_DIFFING = word_set(
    "-p -u --patch --no-patch -s --stat --numstat --shortstat --dirstat --summary --name-only --name-status "
    "--raw -w -b "
    "--ignore-all-space --ignore-space-change --ignore-blank-lines --ignore-space-at-eol --minimal --histogram "
    "--patience "
    "--check --exit-code --quiet -q --no-color --no-ext-diff --no-textconv --no-renames -M -C -R -a --text -z "
    "--no-prefix "
    "--full-index --cached --staged --merge-base --compact-summary --pickaxe-all --pickaxe-regex "
    "--function-context -W "
    "--cc -c -m --no-index-lines --oneline --graph --all --decorate --no-decorate --abbrev-commit --no-abbrev-commit "
    "--no-merges --merges --first-parent --reverse --follow --date-order --topo-order --author-date-order "
    "--left-right "
    "--cherry-pick --cherry-mark --full-history --simplify-by-decoration --branches --tags --remotes "
    "--walk-reflogs -g "
    "--parents --children --boundary --no-notes --regexp-ignore-case -i --extended-regexp -E --fixed-strings -F --not"
) - word_set("--no-index-lines")
_DIFF_VALUED = word_set(
    "-n --max-count --skip --since --until --after --before --author --committer --grep -S -G -L --format "
    "--pretty --date "
    "-U --unified --diff-filter --diff-algorithm --inter-hunk-context --word-diff-regex --min-parents --max-parents"
)
_DIFF_OPTIONAL = word_set(
    "--color --stat --decorate --word-diff --color-words --abbrev --relative --find-renames --find-copies "
    "--submodule "
    "--ignore-submodules --branches --tags --remotes --pretty --color-moved --unified"
)
_LOGGING = Program("paths", _DIFFING, _DIFF_VALUED, _DIFF_OPTIONAL, numbers=True, broad=True)

GIT: Mapping[str, Program] = {
    "status": Program(
        "paths",
        letters("sbvuz") | word_set("--short --branch --long --verbose --no-renames --show-stash --ahead-behind"),
        frozenset(),
        word_set("--porcelain --untracked-files --ignored --column --ignore-submodules"),
    ),
    "diff": _LOGGING,
    "log": _LOGGING,
    "show": _LOGGING,
    "whatchanged": _LOGGING,
    "diff-tree": Program(
        "paths", _DIFFING | word_set("-r -t --root --no-commit-id"), _DIFF_VALUED, _DIFF_OPTIONAL, broad=True
    ),
    "rev-list": Program("paths", _DIFFING | word_set("--count --objects"), _DIFF_VALUED, numbers=True),
    "shortlog": Program(
        "paths",
        letters("sne") | word_set("--summary --numbered --email --all --no-merges"),
        word_set("--since --until --group"),
    ),
    "branch": Program(
        "text",
        letters("arv") | word_set("-vv --list -l --all --remotes --verbose --show-current --no-color --ignore-case"),
        word_set("--sort --format"),
        word_set("--color --contains --merged --no-merged --points-at --column"),
        needs=word_set("--list -l"),
    ),
    "tag": Program(
        "text",
        letters("l") | word_set("--list --ignore-case"),
        word_set("--sort --format"),
        word_set("--contains --merged --points-at --column -n"),
        needs=word_set("--list -l"),
    ),
    "remote": exact_forms("", "-v", "--verbose"),
    "stash": exact_forms("list", "show", "show -p", "show --stat"),
    "worktree": exact_forms("list", "list --porcelain"),
    "reflog": Program("none", word_set("--all --oneline"), word_set("-n --max-count --date"), numbers=True),
    "ls-files": Program(
        "paths",
        letters("cdmoistuvz")
        | word_set(
            "--cached --deleted --modified --others --ignored --stage --exclude-standard --full-name "
            "--error-unmatch --unmerged"
        ),
        word_set("-x --exclude"),
    ),
    "ls-tree": Program(
        "paths", letters("drtlz") | word_set("--name-only --name-status --full-name --full-tree --long")
    ),
    "cat-file": Program("text", letters("petsz") - word_set("-z"), broad=True),
    "rev-parse": Program(
        "paths",
        word_set(
            "--short --abbrev-ref --verify --quiet -q --show-toplevel --git-dir --is-inside-work-tree --show-prefix"
        )
        | word_set(
            "--absolute-git-dir --git-common-dir --is-bare-repository --symbolic-full-name --all --branches --show-cdup"
        ),
        frozenset(),
        word_set("--short --abbrev-ref"),
    ),
    "describe": Program(
        "text",
        word_set("--tags --all --always --long --dirty --contains --exact-match"),
        word_set("--match --candidates"),
        word_set("--abbrev --dirty"),
    ),
    "blame": Program(
        "paths",
        letters("wlesfnpctM") | word_set("--porcelain --line-porcelain --show-email --show-name --show-number --root"),
        word_set("-L --since --date"),
        word_set("--abbrev"),
    ),
    "grep": Program(
        "pattern",
        letters("niIwvlLchHEFGPaoqpWz")
        | word_set(
            "--line-number --ignore-case --word-regexp --count --name-only --cached --untracked "
            "--files-with-matches --heading --break --show-function --no-color"
        ),
        letters("eABCm") | word_set("--max-depth --threads"),
        word_set("--color"),
        broad=True,
    ),
    "config": exact_forms(
        "--list",
        "-l",
        "--list --show-origin",
        "--get user.name",
        "--get user.email",
        "--get remote.origin.url",
        "--get core.editor",
        "--get init.defaultbranch",
        "--get init.defaultBranch",
    ),
    "show-ref": Program("text", letters("dsq") | word_set("--heads --tags --verify --head --hash --dereference")),
    "for-each-ref": Program("text", frozenset(), word_set("--sort --format --count --contains --merged")),
    "merge-base": Program("text", word_set("--all -a --octopus --is-ancestor --fork-point")),
    "name-rev": Program("text", word_set("--name-only --tags --always")),
    "count-objects": Program("none", letters("vH")),
    "check-ignore": Program("paths", letters("vqn") | word_set("--verbose --no-index --non-matching")),
    "version": Program("none"),
}
GIT_GLOBAL_FLAGS = word_set("--no-pager -P --no-optional-locks --version --literal-pathspecs")
