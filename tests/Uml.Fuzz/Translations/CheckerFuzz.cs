using Uml.Core.Cpu.Execute;
using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.Semantics.Float;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu;
using Uml.Fuzz.Running;

namespace Uml.Fuzz.Translations;

/// <summary>
/// Attacks the checker of translated code: translations are damaged, and those that it still accepts run. They may compute anything, and may
/// not touch the host: that is all that the checker promises.
/// </summary>
internal static unsafe class CheckerFuzz
{
    private const long InstructionBudget = 20_000;

    /// <summary>After so long without a mutation the machine's thread is asked for attention: what has not ended then goes round in circles.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(500);

    public static void Run(FuzzRun run)
    {
        // A case that has to be interrupted uses the processor until then.
        run.Limits = run.Limits with { CpuTime = TimeSpan.FromSeconds(10) };
        run.HangTime = TimeSpan.FromSeconds(30);
        run.ForEachCase(Attack);
    }

    private static void Attack(FuzzCase test)
    {
        if (FindDamage(test) is not { } damage)
        {
            return;
        }

        // Another machine has other addresses: a number that only looked like one is not found again.
        if (FindDamage(new FuzzCase(test.Seed, static _ => { })) == damage)
        {
            throw new InvalidOperationException($"Code that the checker accepts {damage}.");
        }

        test.Count("looked like a leak once");
    }

    /// <returns>What the case did to the host; null when nothing.</returns>
    private static string? FindDamage(FuzzCase test)
    {
        using BareGuest machine = new BareGuest(CpuEngine.Jit, codeCacheSize: 1 << 20, check: TranslationCheck.Stop).Start64();
        Prepare(machine, test.Random);
        MutatedTranslations mutated = new(test);
        machine.Cpu.Jit!.Guard!.BeforeCheck = mutated.Mutate;
        var host = HostAddresses.Of(machine);
        test.Count(Run(machine, mutated));
        test.Count(mutated.Accepted > 0 ? "mutated" : "no mutant accepted");
        return host.FindDamage();
    }

    /// <returns>How the run ended.</returns>
    private static string Run(BareGuest machine, MutatedTranslations mutated)
    {
        int last = -1;
        using Timer attention = new(_ => Interrupt(), null, s_patience, s_patience);
        try
        {
            return machine.Cpu.Run(InstructionBudget).ToString();
        }
        catch (EmittedCodeFaultException) when (AllowedFaults.Find(machine.Cpu.Jit!) is { } name)
        {
            return name;
        }
        finally
        {
            // The timer may not reach for the state when it is gone.
            attention.DisposeAsync().AsTask().Wait();
        }

        // A slow host may not end a case before its last translation: the case would be another one.
        void Interrupt()
        {
            int now = mutated.Attempted;
            if (Interlocked.Exchange(ref last, now) == now)
            {
                machine.Cpu.RequestAttention();
            }
        }
    }

    private static void Prepare(BareGuest machine, FuzzRandom random)
    {
        CpuState* s = machine.State;
        s->Cr0 |= 1 << 1; // MP
        s->Cr4 |= (1 << 9) | (1 << 10) | (1 << 18); // OSFXSR, OSXMMEXCPT, OSXSAVE
        (s->Xcr0, s->Mxcsr) = (7, SseFloat.DefaultMxcsr);
        X87.Initialize(ref s->X87);
        Mmu.UpdateMode(s);
        for (ulong offset = 0; offset < 0x1000; offset += 8)
        {
            machine.Poke(BareGuest.Data + offset, Number(random));
        }

        for (int i = 0; i < CpuState.GprCount; i++)
        {
            s->Gpr[i] = Number(random);
        }

        new GuestProgram(random).Load(machine);
    }

    /// <summary>A small number, or one of all 64 bits. Those below 0x100 would, behind one of the others and read three bytes off, look like an address.</summary>
    private static ulong Number(FuzzRandom random) => random.OneIn(2) ? random.UInt64() : 0x100 + (ulong)random.Below(0xF00);
}
