using Uml.Core.Cpu.State;

namespace Uml.Core.Tests.Cpu.Translation;

/// <summary>
/// An address-size prefix cuts the whole effective address to 32 bits (Intel SDM vol. 1, 3.6.1): also what is no base, index or
/// displacement, such as the offset of a bit string's bit. Encodings by hand, because the assembler writes no needless prefix.
/// </summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed unsafe class ShortAddressTests : IDisposable
{
    private const ulong Far = 1UL << 32;

    private readonly EnginePair _pair = new();

    public void Dispose() => _pair.Dispose();

    [TestCase("67 48 0F A3 03", TestName = "BT [ebx], rax")]
    [TestCase("67 48 0F AB 03", TestName = "BTS [ebx], rax")]
    [TestCase("67 48 0F B3 03", TestName = "BTR [ebx], rax")]
    [TestCase("67 48 0F BB 03", TestName = "BTC [ebx], rax")]
    [TestCase("67 F0 48 0F BB 03", TestName = "LOCK BTC [ebx], rax")]
    public void A_bit_is_looked_for_within_4_GiB(string code)
    {
        // 2^35 bits are 2^32 bytes: the sum lies beyond 4 GiB, and its lower half is the data's address.
        Run(code, rax: (8 * Far) + 9, rbx: BareGuest.Data);
        Assert.That(_pair.Vector, Is.EqualTo(-1));
        Assert.That(Flags.Carry(_pair.Jit.State), "bit 9 of the data");
    }

    [TestCase("67 48 0F A3 03", TestName = "BT [ebx], rax, below 0")]
    [TestCase("67 0F A3 03", TestName = "BT [ebx], eax, below 0")]
    [TestCase("67 66 0F A3 03", TestName = "BT [ebx], ax, below 0")]
    public void A_bit_below_address_0_wraps_to_the_end_of_4_GiB(string code)
    {
        Run(code, rax: unchecked((ulong)-1), rbx: 0);
        Assert.That(_pair.Vector, Is.EqualTo(ExceptionVector.PF));
        Assert.That(_pair.Jit.State->Cr2 >> 32, Is.Zero);
    }

    [TestCase("67 D7", TestName = "XLAT")]
    [TestCase("67 AC", TestName = "LODS")]
    [TestCase("67 A4", TestName = "MOVS")]
    [TestCase("67 AA", TestName = "STOS")]
    [TestCase("67 AE", TestName = "SCAS")]
    [TestCase("67 A6", TestName = "CMPS")]
    [TestCase("67 66 0F F7 CA", TestName = "MASKMOVDQU")]
    [TestCase("67 0F F7 CA", TestName = "MASKMOVQ")]
    [TestCase("67 8B 44 33 00", TestName = "MOV with base and index")]
    [TestCase("67 FF 34 33", TestName = "PUSH")]
    [TestCase("67 8F 04 33", TestName = "POP")]
    [TestCase("67 64 8B 04 33", TestName = "MOV with FS")]
    [TestCase("67 C4 E2 61 90 04 0B", TestName = "VPGATHERDD")]
    [TestCase("67 C4 E2 E1 91 04 0B", TestName = "VPGATHERQQ")]
    public void What_is_implied_is_cut_as_well(string code)
    {
        Run(code, rax: 0x10, rbx: Far + BareGuest.Data, rsi: Far, rdi: Far + BareGuest.Data);
        Run(code, rax: 0xF0, rbx: 0xFFFF_FF80, rsi: BareGuest.Data, rdi: Far - 1);
    }

    /// <summary>Runs the code in both engines, which compare everything.</summary>
    private void Run(string code, ulong rax, ulong rbx, ulong rsi = 0, ulong rdi = 0)
    {
        byte[] bytes = [.. code.Split(' ').Select(part => Convert.ToByte(part, 16)), 0xF4];
        _pair.Each(machine =>
        {
            for (ulong i = 0; i < 0x200; i += 8)
            {
                machine.Poke(BareGuest.Data + i, 0x0123_4567_89AB_CF01UL + i);
            }

            for (int i = 0; i < bytes.Length; i++)
            {
                machine.Poke(BareGuest.Code + (ulong)i, bytes[i]);
            }
        });
        _pair.ResetRegisters();
        _pair.Set(0, rax);
        _pair.Set(3, rbx);
        _pair.Set(6, rsi);
        _pair.Set(7, rdi);
        _pair.Run(what: code);
    }
}
