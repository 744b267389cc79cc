using Iced.Intel;

namespace Uml.Differential.Tests.Running;

/// <summary>A case that once found a defect.</summary>
/// <param name="Seed">Seed of the case.</param>
/// <param name="Form">Form of a single-instruction case, null for a sequence.</param>
/// <param name="Defect">What was wrong.</param>
internal sealed record Regression(ulong Seed, Code? Form, string Defect, int Bitness = 64);

/// <summary>
/// Cases that found defects. Seeds mean what the generator makes of them: when the generator changes, an entry still is a valid case
/// of its form, if not the same one.
/// </summary>
internal static class Regressions
{
    public static IReadOnlyList<Regression> All { get; } =
    [
        new(0x7cd9072d8f921a61, Code.Movq_mm_rm64, "MMX operands were one register off: bool fields have four bytes in the marshalled layout"),
        new(0x619ddba7f5cfe20e, Code.Maskmovdqu_rDI_xmm_xmm, "the address of masked stores ignored the address-size prefix"),
        new(0x2bc2c28f24de5a09, Code.Xadd_rm8_r8, "an SS prefix in 64-bit mode made #SS of #GP"),
        new(0xd2eb22ec0bbeec76, Code.Cvtsd2ss_xmm_xmmm64, "bits 63..32 of the destination were cleared"),
        new(0x4f2a4f90f9a84b47, Code.Cvtsi2ss_xmm_rm32, "bits 63..32 of the destination were cleared"),
        new(0xc17beed50867b088, Code.Cvtpi2ps_xmm_mmm64, "no transition to MMX before #XM"),
        new(0x116dcb3b3747a667, Code.Maskmovq_rDI_mm_mm, "CR2 of a masked store, and no transition to MMX before its #PF"),
        new(0x43278f74ac1a4aab, Code.Maskmovq_rDI_mm_mm, "an empty mask hid faults"),
        new(0xeb63d48d14957a3b, Code.Cmpsd_xmm_xmmm64_imm8, "vector CMPSD and MOVSD ran as string instructions"),
        new(0x231b911c910626ed, Code.Cmpsq_m64_m64, "order of the two page faults"),
        new(0xbbfd520260c6b2bd, Code.Fist_m16int, "an unmasked exception suppresses the store, not its page fault"),
        new(0xe0dcb6ae1543829b, Code.Fstpnce_sti, "FSTPNCE of an empty register raised an exception"),
        new(0x813d63fb99e3c5db, Code.Int_imm8, "the immediate of system instructions was lost: INT n was INT 0, IN and OUT used port 0"),
        new(0xe03b9a5c7a8f50b0, Code.Outsb_DX_m8, "REP OUTS with a count of zero skipped the permission check"),
        new(0xcc519f4bfcb3e045, Code.Lldt_r32m16, "the operand's page fault came before the privilege check"),
        new(0x8aeccdde9a9827e7, Code.Xlat_m8, "XLAT ignored the address-size prefix"),
        new(0xc349f962af4c4f4d, Code.Maskmovq_rDI_mm_mm, "an SS prefix in 64-bit mode made #SS of #GP for implicit operands"),
        new(0xb22b24ee8ee53249, Code.Maskmovq_rDI_mm_mm, "an empty mask hid the second page's fault"),
        new(0x4d61c09821634035, Code.Fbld_m80bcd, "no alignment check of ten-byte operands, x87 environments and unaligned vectors"),
        new(0x579fe704e55ca84c, Code.Bound_r16_m1616, "BOUND's two operands were alignment-checked as one", 32),
        new(0xc8993e09223aab7e, Code.Arpl_r32m16_r32, "ARPL asked for write access even when it writes nothing", 32),
        new(0x9a46331779a1c5ca, Code.Adc_rm16_imm16, "writes through CS were allowed in flat 32-bit code", 32),
    ];
}
