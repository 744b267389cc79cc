namespace Uml.Core.Cpu.Verify;

/// <summary>The checker has refused a translation: a defect of the translator. The message says what is wrong with it.</summary>
internal sealed class TranslationRefusedException(string defect) : Exception(defect);
