# From the harness's logs (cpu.TARGET.RUN.log): the best time of each workload and target, and geometric means of their ratios by groups.
FNR == 1 {
    n = split(FILENAME, path, "/")
    split(path[n], part, ".")
    target = part[2] ~ /^qemu/ ? "qemu" : part[2]
}

{
    sub(/\r$/, "")
    for (i = 1; i < NF - 1; i++)
        if ($i == "BENCH") {
            workload = $(i + 1)
            if (!(workload in seen)) { seen[workload] = 1; order[++workloads] = workload }
            if (!((workload, target) in best) || $(i + 2) < best[workload, target]) best[workload, target] = $(i + 2)
        }
}

function ratio(workload, a, b) {
    return best[workload, b] > 0 ? best[workload, a] / best[workload, b] : 0
}

function cell(value, digits) {
    return value > 0 ? sprintf(" %." digits "f |", value) : " - |"
}

function mean(names, a, b,    n, list, i, r, sum, count) {
    n = split(names, list, " ")
    sum = count = 0
    for (i = 1; i <= n; i++) {
        r = ratio(list[i], a, b)
        if (r > 0) { sum += log(r); count++ }
    }
    return count ? exp(sum / count) : 0
}

function group(names, title) {
    all = all " " names
    print "| " title " |" cell(mean(names, "qemu", "native"), 1) cell(mean(names, "uml", "native"), 2) cell(mean(names, "candidate", "native"), 2) \
        cell(mean(names, "qemu", "candidate"), 1) cell(mean(names, "uml", "candidate"), 2)
}

END {
    print "\n## Best of the runs (seconds)\n"
    print "| workload | native | QEMU | UML | Uml | Uml / native | QEMU / Uml | UML / Uml |"
    print "| --- | --: | --: | --: | --: | --: | --: | --: |"
    for (i = 1; i <= workloads; i++) {
        w = order[i]
        print "| " w " |" cell(best[w, "native"], 3) cell(best[w, "qemu"], 3) cell(best[w, "uml"], 3) cell(best[w, "candidate"], 3) \
            cell(ratio(w, "candidate", "native"), 2) cell(ratio(w, "qemu", "candidate"), 2) cell(ratio(w, "uml", "candidate"), 2)
    }

    print "\n## Groups (geometric means of the best)\n"
    print "| group | QEMU / native | UML / native | Uml / native | QEMU / Uml | UML / Uml |"
    print "| --- | --: | --: | --: | --: | --: |"
    group("intmix sha256 memchase memrand interp shloop gzip awk sort", "integer, memory, interpreter, shell, gzip, awk, sort")
    group("nbody mandel saxpy simdint x87 repmov ssemov str", "floating point, SIMD, x87, bulk moves, strings")
    group("getppid clock fork forkexec pagefault ctxsw signal fileio shfork", "kernel: calls, fork, exec, faults, switches, signals, files")
    group("smc coldcode", "self-modifying and run-once code")
    group(all, "all")
}
